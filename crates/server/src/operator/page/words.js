// What the page is written with: words for times and sizes, and elements that are filled in place.

/** The beginning tells the time of its making, the end tells it from others of that minute. */
export function shortId(id) {
  return id.length > 14 ? `${id.slice(0, 8)}…${id.slice(-4)}` : id;
}

export function bytes(count) {
  const mebibytes = count / 2 ** 20;
  return mebibytes < 1024 ? `${Math.round(mebibytes)} MiB` : `${(mebibytes / 1024).toFixed(1)} GiB`;
}

/** For what goes on: a tenth of a second would only flicker. */
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

/** Leaves what is right already alone: nobody's selection is lost and nothing is read out again. */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** Rows of cells as `[class, text, whole text]`, in place. */
export function fillList(list, rows) {
  keepChildren(list, rows.length, 'li');
  rows.forEach((cells, place) => {
    const row = list.children[place];
    // What strangers wrote must not turn the writing of its neighbours around.
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
