// Mounts the official components on the portal's pages. It runs after the two
// official scripts have loaded or failed, because all three are deferred.
(() => {
  'use strict';

  const nonce = document.currentScript.nonce;
  const place = document.getElementById('component');
  const settings = JSON.parse(place.dataset.settings);
  const page = (path) => settings.origin + path;

  const ended = document.getElementById('ended');
  if (ended) tellWhen(ended.querySelector('time'));

  window.addEventListener('error', (event) => {
    // A chunk that a component asked for later; script errors do not bubble.
    if (event.target instanceof HTMLScriptElement) {
      report('Part of this page did not load.', `The script ${event.target.src} could not be fetched.`);
    }
  }, true);

  start().catch((error) => {
    report('The server did not answer as expected.', error?.errors?.[0]?.long_message || error?.message || String(error));
  });

  async function start() {
    if (location.origin !== settings.origin) {
      const here = settings.origin + location.pathname + location.search + location.hash;
      report(
        'This page was opened under another address.',
        `The server is known as ${settings.origin}, this page as ${location.origin}. ` +
          'Cookies would not reach it, so nobody could sign in here.',
        { label: `Open ${settings.origin}`, href: here },
      );
      return;
    }
    const clerk = window.Clerk;
    if (!clerk || !window.__internal_ClerkUICtor) {
      report('The sign-in scripts did not load.', 'The browser could not fetch them from this server, or a browser extension stopped them.');
      return;
    }

    await clerk.load({
      nonce,
      ui: { ClerkUI: window.__internal_ClerkUICtor },
      telemetry: false,
      signInUrl: page('/sign-in'),
      signUpUrl: page('/sign-up'),
      signInFallbackRedirectUrl: settings.homeUrl,
      signUpFallbackRedirectUrl: settings.homeUrl,
      afterSignOutUrl: page('/sign-in'),
      afterMultiSessionSingleSignOutUrl: page('/sign-in/choose'),
      allowedRedirectOrigins: settings.allowedRedirectOrigins,
      routerPush: (to) => go(to, 'pushState', 'assign'),
      routerReplace: (to) => go(to, 'replaceState', 'replace'),
    });
    // A link to act as somebody, in a browser that holds one account only.
    if (settings.signsOutFirst && clerk.session) await clerk.signOut({ redirectUrl: location.href });
    views[settings.view](clerk);
  }

  const views = {
    'sign-in': (clerk) => {
      show(() => clerk.mountSignIn(place, { routing: 'path', path: '/sign-in' }));
      if (ended) clerk.addListener(({ user }) => user && ended.remove());
    },
    'sign-up': (clerk) => show(() => clerk.mountSignUp(place, { routing: 'path', path: '/sign-up' })),
    user: (clerk) => {
      if (!clerk.user) {
        leaveForSignIn('replace');
        return;
      }
      show(() => {
        clerk.mountUserProfile(place, { routing: 'path', path: '/user' });
        clerk.mountUserButton(document.getElementById('account'));
      });
      clerk.addListener(({ user }) => {
        // A session that ended elsewhere leaves this page without a person. The
        // wait lets a sign-out made here go where it was told to go first.
        if (user === null) setTimeout(() => clerk.user || leaveForSignIn('assign'), 1500);
      });
    },
  };

  // In the zone and the way of writing that the person is used to.
  function tellWhen(time) {
    const at = new Date(time.dateTime);
    const clock = at.toLocaleTimeString([], { timeStyle: 'short' });
    const isToday = at.toDateString() === new Date().toDateString();
    const day = at.toLocaleDateString([], { day: 'numeric', month: 'long' });
    time.textContent = isToday ? clock : `${clock} on ${day}`;
  }

  function show(mount) {
    place.replaceChildren();
    document.body.dataset.state = 'ready';
    mount();
  }

  function leaveForSignIn(how) {
    location[how](page('/sign-in') + '?redirect_url=' + encodeURIComponent(location.href));
  }

  // Steps within one component change the address only; everything else is a
  // page of its own and is loaded as one.
  function go(to, step, leave) {
    const url = new URL(to, location.href);
    const base = '/' + settings.view;
    const stays = url.origin === location.origin && (url.pathname === base || url.pathname.startsWith(base + '/'));
    if (stays) history[step](null, '', url);
    else location[leave](url);
  }

  function report(what, why, remedy) {
    document.body.dataset.state = 'trouble';
    place.hidden = true;
    document.getElementById('trouble-what').textContent = what;
    document.getElementById('trouble-why').textContent = why;
    document.getElementById('trouble-advice').hidden = Boolean(remedy);
    const action = document.getElementById('trouble-action');
    action.textContent = remedy?.label ?? 'Load this page again';
    action.href = remedy?.href ?? location.href;
    if (!remedy) action.addEventListener('click', (event) => { event.preventDefault(); location.reload(); });
    document.getElementById('trouble').hidden = false;
  }
})();
