"""One form for the many spellings of a city: Arabic, Persian and Latin letters, with and without the article."""

from contacts.domain.folding import fold

# The one form, then other spellings. Case, diacritics and the forms of Arabic letters do not count (`fold`).
_SPELLINGS = """
Abu Dhabi | abudhabi | أبوظبي | أبو ظبي | ابوظبی
Ahvaz | ahwaz | اهواز | الأهواز
Aleppo | halab | حلب
Alexandria | al-iskandariyah | الإسكندرية | اسکندریه
Algiers | alger | الجزائر العاصمة | الجزیره
Amman | عمان الأردن | عمّان الأردن | امان
Ankara | أنقرة | آنکارا
Baghdad | bagdad | بغداد
Baku | bakı | باكو | باکو
Basra | basrah | al-basrah | البصرة | بصره
Beirut | beyrouth | bayrut | بيروت | بیروت
Berlin | برلين | برلین
Cairo | al-qahirah | le caire | القاهرة | قاهره
Casablanca | dar al-bayda | الدار البيضاء | کازابلانکا
Cologne | köln | koeln
Damascus | dimashq | damas | دمشق
Dammam | ad-dammam | الدمام | دمام
Doha | ad-dawhah | الدوحة | دوحه
Dubai | dubayy | دبي | دبی
Erbil | arbil | hawler | أربيل | اربیل
Geneva | genève | genf | جنيف | ژنو
Hamburg | هامبورغ | هامبورگ
Herat | هرات
Isfahan | esfahan | ispahan | اصفهان | أصفهان
Istanbul | i̇stanbul | إسطنبول | اسطنبول | استانبول
Jeddah | jiddah | jedda | جدة | جده
Jerusalem | al-quds | القدس | بیت المقدس
Kabul | كابل | كابول | کابل
Karaj | کرج | كرج
Kermanshah | کرمانشاه | كرمانشاه
Khartoum | al-khartum | الخرطوم | خارطوم
Kuwait City | kuwait | مدينة الكويت | الكويت | کویت
London | londres | لندن
Manama | al-manamah | المنامة | منامه
Mashhad | mashad | meshed | مشهد
Mecca | makkah | makka | مكة | مكة المكرمة | مکه
Medina | madinah | al-madinah | المدينة المنورة | المدينة | مدینه
Moscow | moskva | moscou | москва | موسكو | مسکو
Mosul | al-mawsil | الموصل | موصل
Munich | münchen | muenchen | ميونخ | مونیخ
Muscat | masqat | مسقط
Paris | باريس | پاریس
Qom | ghom | qum | قم
Rabat | ar-ribat | الرباط
Rasht | رشت
Riyadh | ar-riyadh | riad | الرياض | ریاض
Sana'a | sanaa | صنعاء
Sharjah | ash-shariqah | الشارقة | شارجه
Shiraz | شيراز | شیراز
Tabriz | تبريز | تبریز
Tehran | teheran | téhéran | طهران | تهران
Tunis | تونس العاصمة | تونس
Vienna | wien | فيينا | وین
Yazd | یزد | يزد
Zurich | zürich | zuerich | زيورخ | زوریخ
"""


def _key(text: str) -> str:
    """The spelling without what people leave out: spaces, hyphens, apostrophes, and what stands after a comma."""
    return "".join(character for character in fold(text.partition(",")[0].partition("،")[0]) if character.isalnum())


_CITIES = {
    _key(spelling): one.partition("|")[0].strip()
    for one in _SPELLINGS.strip().splitlines()
    for spelling in one.split("|")
}


def one_form(text: str) -> str | None:
    """The city's one form; None for a city or a spelling that the table does not have."""
    return _CITIES.get(_key(text))
