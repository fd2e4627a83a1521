// The development mailbox works without this; it adds copying and fresh lists.
(() => {
  'use strict';

  const button = document.getElementById('copy');
  const code = document.getElementById('code');
  if (button && code) {
    button.hidden = false;
    button.addEventListener('click', async () => {
      try {
        await navigator.clipboard.writeText(code.textContent.trim());
        document.getElementById('copied').textContent = 'Copied';
      } catch {
        getSelection().selectAllChildren(code);
        document.getElementById('copied').textContent = 'Selected; copy it with your keyboard';
      }
    });
  }

  // Codes arrive while the person is in another tab: look again on return, and
  // while nothing has come yet.
  if (document.body.dataset.list !== undefined) {
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) location.reload();
    });
    const idle = () => !document.hidden && !document.activeElement?.matches('input, button, a');
    if (document.body.dataset.list === 'empty') setInterval(() => idle() && location.reload(), 4000);
  }
})();
