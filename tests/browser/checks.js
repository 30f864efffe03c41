() => {
  const visible = [...document.querySelectorAll("body *")].filter((one) => {
    const box = one.getBoundingClientRect(), style = getComputedStyle(one);
    return box.width > 1 && box.height > 1 && style.visibility === "visible" && !one.closest("[aria-hidden=true]");
  });
  const named = (one) => `${one.tagName.toLowerCase()} ${(one.textContent || one.name || "").trim().slice(0, 40)}`;
  const rgba = (text) => {
    const found = text.match(/[\d.]+/g).map(Number);
    return found.length > 3 ? found : [...found, 1];
  };
  const background = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const found = rgba(getComputedStyle(at).backgroundColor);
      if (found[3] === 1) return found;
    }
    return [255, 255, 255, 1];
  };
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((part) => {
      const value = part / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => {
    const [dark, bright] = [light(a), light(b)].sort((x, y) => x - y);
    return (bright + 0.05) / (dark + 0.05);
  };
  const written = visible.filter((one) =>
    [...one.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim()));
  const controls = visible.filter((one) => one.matches("input, select, button"));
  const width = document.documentElement.clientWidth;
  return {
    lang: document.documentElement.lang,
    dir: getComputedStyle(document.documentElement).direction,
    overflow: visible.filter((one) => {
      const box = one.getBoundingClientRect();
      return box.left < -0.5 || box.right > width + 0.5 || one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0
        && getComputedStyle(one).display !== "inline" && !one.matches("input, select, button");
    }).map(named),
    // WCAG 2.2, 1.4.3: text; 1.4.11: the edges of controls.
    contrast: [
      ...written.filter((one) => ratio(rgba(getComputedStyle(one).color), background(one)) < 4.5),
      ...controls.filter((one) => one.matches("input:not([type=checkbox], [type=radio]), select")
        && ratio(rgba(getComputedStyle(one).borderTopColor), background(one.parentElement)) < 3),
    ].map(named),
    // 1.3.1 and 4.1.2
    unlabelled: controls.filter((one) => !(one.matches("button") ? one.textContent.trim() : one.labels?.length)).map(named),
    // 2.5.8
    small: controls.filter((one) => {
      const box = (one.labels?.[0]?.parentElement ?? one).getBoundingClientRect();
      return box.height < 24 || box.width < 24;
    }).map(named),
  };
}
