// The badges of a session: running code, an open dialog, a crash.

import { age, fillList } from '/operator/page/words.js';

/** Returns the badges of an active session as `[class, text, full text]`. */
export function badgesOf({ running, runningMs, dialog, crashed }) {
  const badges = [];
  if (running.length > 0) {
    const since = Number.isFinite(runningMs) ? ` ${age(runningMs)}` : '';
    badges.push(['badge going', `running${since}`, `Running code: ${running.join(', ')}`]);
  }
  if (dialog) badges.push(['badge waiting', 'dialog', `A dialog (${dialog}) waits for an answer.`]);
  if (crashed) badges.push(['badge failed', 'crashed', 'The current tab has crashed.']);
  return badges;
}

/** Shows badges in a list. */
export function showBadges(target, badges) {
  fillList(target, badges.map((badge) => [badge]));
  target.hidden = badges.length === 0;
}
