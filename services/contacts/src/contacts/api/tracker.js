/* Barid's page tracker, version 1. Nothing is stored or sent before consent, nor under Do Not Track or GPC.
   barid('consent', bool); barid('page'); barid('identify', {token} or {email, signature}); ?barid=token in a mail's link */
(function (w, d) {
  'use strict';
  var n = w.navigator, script = d.currentScript, early = (w.barid && w.barid.q) || [];
  var STORE = 'barid', IDLE = 18e5, MOST = 100, BATCH = 25;
  var FILES = /\.(pdf|zip|gz|docx?|xlsx?|pptx?|od[tsp]|csv|epub|mp[34]|exe|msi|dmg|apk|deb)$/i;
  var off = n.doNotTrack === '1' || w.doNotTrack === '1' || n.globalPrivacyControl === true || !script;
  var key = !off && script.getAttribute('data-site');
  var url = key && script.src.replace(/\/t\/[^/]*$/, '/t/' + key);
  var assumed = key && script.getAttribute('data-consent') === 'assumed';
  var state = null, queue = [], view = null, owed = null, seconds = 0, told = 0, since = 0, timer = 0;

  function uuid() {
    var b = w.crypto.getRandomValues(new Uint8Array(16)), s = '', i;
    b[6] = (b[6] & 15) | 64;
    b[8] = (b[8] & 63) | 128;
    for (i = 0; i < 16; i++) {
      s += (b[i] + 256).toString(16).slice(1) + (i === 3 || i === 5 || i === 7 || i === 9 ? '-' : '');
    }
    return s;
  }

  function load() {
    try { return JSON.parse(w.localStorage.getItem(STORE)); } catch (e) { return null; }
  }

  function save(what) {
    try {
      if (what) { w.localStorage.setItem(STORE, JSON.stringify(what)); } else { w.localStorage.removeItem(STORE); }
    } catch (e) { /* for this page alone */ }
  }

  /* Without what may hold names and secrets. */
  function bare(address) { return address.split(/[?#]/)[0]; }

  function parameter(name) {
    var found = new RegExp('[?&]' + name + '=([^&#]*)').exec(w.location.search);
    try { return found ? decodeURIComponent(found[1].replace(/\+/g, ' ')) : ''; } catch (e) { return ''; }
  }

  function origin(p) {
    ['source', 'medium', 'campaign', 'term', 'content'].forEach(function (name) {
      var value = parameter('utm_' + name);
      if (value) { p['utm_' + name] = value.slice(0, 500); }
    });
    if (d.referrer && d.referrer.split('/')[2] !== w.location.host) { p.referrer = bare(d.referrer); }
    return p;
  }

  function add(type, p, id) {
    p.session = state.s;
    p.url = p.url || bare(w.location.href);
    p.title = p.title || d.title.slice(0, 500);
    if (queue.length < MOST) { queue.push({i: id || uuid(), t: type, at: +new Date(), p: p}); }
    if (!timer) { timer = setTimeout(flush, 300); }
  }

  function body(events, proof) {
    var now = +new Date();
    return JSON.stringify({v: state.v, c: state.c, id: proof || null, e: events.map(function (one) {
      return {i: one.i, t: one.t, a: Math.min(Math.max(now - one.at, 0), 864e5), p: one.p};
    })});
  }

  function flush(leaving) {
    clearTimeout(timer);
    timer = 0;
    if (state && owed) { send([], owed); }
    while (state && queue.length) { send(queue.splice(0, BATCH), null, leaving === true); }
  }

  function send(events, proof, leaving) {
    var text = body(events, proof);
    owed = null;
    if (!w.fetch || leaving) {
      if (n.sendBeacon && n.sendBeacon(url, text)) { return; }
      if (!w.fetch) { return; }
    }
    w.fetch(url, {method: 'POST', body: text, credentials: 'omit', keepalive: true}).then(function (r) {
      if (r.status === 429 || r.status >= 500) { throw r; }
      return r.status === 200 ? r.json() : null;
    }).then(function (said) {
      if (said && said.stop) { forget({no: 1}); }
    })['catch'](function () {
      /* It goes with what comes next. */
      owed = proof || owed;
      if (state) { queue = events.concat(queue).slice(0, MOST); }
    });
  }

  function session() {
    var now = +new Date(), begun = !state.s || now - state.l > IDLE;
    if (begun) { state.s = uuid(); }
    state.l = now;
    save(state);
    if (begun) { add('session.started', origin({})); }
  }

  /* Counted while the page is seen, told when it is hidden. */
  function pause() {
    if (since) { seconds += (+new Date() - since) / 1e3; }
    since = 0;
    if (state && view && seconds - told >= 1) {
      told = seconds;
      add('page.read', {seconds: Math.round(seconds), url: view.url}, view.id);
    }
    flush(true);
  }

  function resume() { since = d.visibilityState === 'hidden' ? 0 : +new Date(); }

  function page() {
    if (!state) { return; }
    if (view) { pause(); }
    session();
    view = {id: uuid(), url: bare(w.location.href)};
    seconds = told = 0;
    resume();
    add('page.viewed', origin({}));
  }

  function start(consent) {
    var found = load(), token = parameter('barid');
    if (state || (found && found.no && !token)) { return; }
    state = found && found.v ? found : {v: uuid()};
    state.c = consent;
    page();
    if (token) {
      send([], {token: token});
      w.history.replaceState(w.history.state, '', w.location.href.replace(/([?&])barid=[^&#]*&?/, '$1').replace(/[?&](#|$)/, '$1'));
    }
  }

  function forget(instead) {
    state = view = owed = null;
    queue = [];
    save(instead);
  }

  function barid(command, value) {
    if (!key) { return; }
    if (command === 'page') { page(); }
    if (command === 'consent') { (value ? start : forget)(value && 'given'); }
    if (command === 'identify' && state) { send([], value); }
  }

  w.barid = barid;
  if (!key) { return; }
  d.addEventListener('visibilitychange', function () { if (d.visibilityState === 'hidden') { pause(); } else { resume(); } });
  w.addEventListener('pagehide', pause);
  d.addEventListener('click', function (event) {
    var a = event.target;
    while (a && a.tagName !== 'A') { a = a.parentNode; }
    if (state && a && a.href && (a.hasAttribute('download') || FILES.test(bare(a.href)))) {
      add('file.downloaded', {url: bare(a.href), title: (a.textContent || '').slice(0, 500)});
      flush(true);
    }
  }, true);
  var before = load();
  if (assumed) { start('assumed'); } else if (before && before.c === 'given') { start('given'); }
  early.forEach(function (call) { barid.apply(null, call); });
}(window, document));
