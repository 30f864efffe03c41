"""What servers say to RCPT in several languages: that nobody is there, or that they do not like the sender."""

NOBODY = {
    "fr": [
        "Utilisateur inconnu",
        "Retour à l'expéditeur - destinataire inconnu",
        "L'adresse du destinataire n'existe pas",
        "Boîte aux lettres introuvable, contactez votre administrateur",
    ],
    "de": [
        "Benutzer ist hier nicht bekannt",
        "Zurück an Absender, Empfänger unbekannt",
        "Das Postfach existiert nicht. Bitte prüfen Sie die Adresse",
        "Empfänger nicht gefunden",
    ],
    "es": [
        "El usuario no existe",
        "Devuelto al remitente porque no existe el usuario",
        "No se ha encontrado el buzón",
        "Destinatario desconocido",
    ],
    "zh": ["收件人不存在", "该邮箱用户不存在", "查无此用户", "发件人您好：收件人地址不存在"],
    "ar": ["المستخدم غير موجود", "المرسل إليه غير موجود", "تحقق من عنوان المرسل إليه: صندوق البريد غير موجود"],
    "fa": ["کاربر وجود ندارد", "صندوق پستی یافت نشد", "به فرستنده بازگشت: گیرنده وجود ندارد"],
}
UNWANTED = {
    "fr": [
        "Votre adresse IP est sur une liste noire",
        "Message refusé: courrier indésirable",
        "Expéditeur inconnu",
        "Accès refusé: mauvaise réputation",
        "L'expéditeur n'est pas autorisé",
        "Refusé par la politique de sécurité, destinataire inconnu",
    ],
    "de": [
        "Ihre IP steht auf einer Sperrliste",
        "Absender unbekannt",
        "Absenderadresse existiert nicht",
        "Wegen unerwünschter Werbung blockiert",
        "Gegen unsere Richtlinien",
        "Zugriff verweigert",
    ],
    "es": [
        "Su IP está en una lista negra",
        "Correo no deseado",
        "Remitente desconocido",
        "El remitente no existe",
        "Rechazado por política de seguridad",
        "Mala reputación",
        "Acceso denegado",
    ],
    "zh": ["发件人地址不存在", "IP在黑名单中", "垃圾郵件", "违反策略", "发件人域名信誉低", "连接被拦截"],
    "ar": [
        "عنوانك في القائمة السوداء",
        "بريد غير مرغوب",
        "المرسل غير موجود",
        "محظور بسبب السمعة",
        "غير مسموح",
        "مخالف لسياسة البريد",
    ],
    "fa": ["نشانی شما در فهرست سیاه است", "هرزنامه", "فرستنده وجود ندارد", "مسدود شد", "غیرمجاز", "بر خلاف سیاست ما"],
}
