// Formats times and sizes, and creates and updates elements.

/**
 * Shortens an id. The start encodes the creation time, and the end distinguishes ids of the same
 * minute.
 */
export function shortId(id) {
  return id.length > 14 ? `${id.slice(0, 8)}…${id.slice(-4)}` : id;
}

export function bytes(count) {
  const mebibytes = count / 2 ** 20;
  return mebibytes < 1024 ? `${Math.round(mebibytes)} MiB` : `${(mebibytes / 1024).toFixed(1)} GiB`;
}

/** Formats a growing duration, in whole seconds. */
export function age(milliseconds) {
  return span(Math.max(Math.floor(milliseconds / 1000), 1) * 1000);
}

export function span(milliseconds) {
  if (!Number.isFinite(milliseconds)) return '?';
  const seconds = Math.max(milliseconds, 0) / 1000;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function cutInTheMiddle(text, length) {
  if (text.length <= length) return text;
  return `${text.slice(0, length / 2)}…${text.slice(-length / 2)}`.toWellFormed();
}

export function make(tag, className = '', ...children) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

/**
 * Sets a text if it differs. Setting the same text would lose the selection, and screen readers
 * would read it again.
 */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** Formats the size of a file. */
export function sizeOf(count) {
  if (count < 1024) return `${count} B`;
  return count < 1024 ** 2 ? `${Math.ceil(count / 1024)} KiB` : `${(count / 1024 ** 2).toFixed(1)} MiB`;
}

/** Returns a small button with a longer name for screen readers. */
export function smallButton(text, label, act) {
  const made = make('button', 'small', text);
  made.type = 'button';
  made.setAttribute('aria-label', label);
  made.addEventListener('click', act);
  return made;
}

/** Returns the title of a session's page. Chromium reports the URL of a page that has no title. */
export function titleOf({ title, url }) {
  return title && title !== url ? title : 'Untitled';
}

/** Updates a list in place. Rows consist of cells `[class, text, full text]`. */
export function fillList(list, rows) {
  keepChildren(list, rows.length, 'li');
  rows.forEach((cells, place) => {
    const row = list.children[place];
    // `bdi` keeps the text direction of untrusted text from affecting its neighbors.
    keepChildren(row, cells.length, 'bdi');
    cells.forEach(([className, text, whole = ''], index) => {
      const cell = row.children[index];
      cell.className = className;
      cell.title = whole ?? '';
      setText(cell, text);
    });
  });
}

function keepChildren(parent, count, tag) {
  while (parent.children.length > count) parent.lastElementChild.remove();
  while (parent.children.length < count) parent.append(make(tag));
}
