// Short notices at the bottom of the page, and copies to the clipboard.

const NOTICE_MS = 4000;

let timer = 0;

export function notify(text) {
  const toast = document.getElementById('toast');
  clearTimeout(timer);
  toast.textContent = text;
  timer = setTimeout(() => {
    toast.textContent = '';
  }, NOTICE_MS);
}

/** Copies a text, and tells so. `name` is a noun, such as "The id". */
export async function copy(text, name) {
  if (await isCopied(text)) notify(`${name} was copied.`);
  else notify(`${name} cannot be copied, because the browser does not allow it.`);
}

async function isCopied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelection(text);
  }
}

/** Copies without the clipboard API, which plain HTTP does not have except on this machine. */
function copySelection(text) {
  const focused = document.activeElement;
  const field = document.createElement('textarea');
  field.value = text;
  field.className = 'unseen';
  document.body.append(field);
  field.select();
  const isDone = document.execCommand('copy');
  field.remove();
  focused?.focus();
  return isDone;
}
