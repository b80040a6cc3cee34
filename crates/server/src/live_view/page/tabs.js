// The tab strip. It is hidden if there are fewer than two tabs.

export class TabStrip {
  #strip;
  #send;
  /** The elements of the strip, by tab id. */
  #items = new Map();

  constructor(strip, send) {
    this.#strip = strip;
    this.#send = send;
    strip.addEventListener('keydown', (event) => this.#walk(event));
  }

  /** Shows these tabs. Reuses elements to keep the viewer's focus. */
  show(tabs, isInteractive) {
    const ids = new Set(tabs.map((tab) => tab.id));
    for (const [id, item] of this.#items) {
      if (ids.has(id)) continue;
      item.remove();
      this.#items.delete(id);
    }
    tabs.forEach((tab, place) => {
      if (!this.#items.has(tab.id)) this.#items.set(tab.id, this.#newItem(tab.id));
      const item = this.#items.get(tab.id);
      this.#fill(item, tab, isInteractive);
      if (this.#strip.children[place] !== item) this.#strip.insertBefore(item, this.#strip.children[place] ?? null);
    });
    this.#strip.hidden = tabs.length < 2;
    this.#reveal(this.#strip.querySelector('.current'));
  }

  #newItem(id) {
    const item = document.createElement('div');
    item.className = 'tab';
    item.setAttribute('role', 'presentation');
    const choose = document.createElement('button');
    choose.type = 'button';
    choose.className = 'choose';
    choose.setAttribute('role', 'tab');
    choose.addEventListener('click', () => this.#send({ type: 'tab', id }));
    choose.addEventListener('keydown', (event) => {
      if (event.key === 'Delete') this.#send({ type: 'close_tab', id });
    });
    const close = document.createElement('button');
    close.type = 'button';
    close.className = 'close control';
    close.tabIndex = -1;
    close.textContent = '×';
    close.addEventListener('click', () => this.#send({ type: 'close_tab', id }));
    item.append(choose, close);
    return item;
  }

  #fill(item, tab, isInteractive) {
    const [choose, close] = item.children;
    const name = tab.title || tab.url || 'New tab';
    if (choose.textContent !== name) choose.textContent = name;
    choose.title = tab.url;
    choose.tabIndex = tab.current ? 0 : -1;
    choose.setAttribute('aria-selected', String(tab.current));
    choose.setAttribute('aria-disabled', String(!isInteractive));
    close.setAttribute('aria-label', `Close ${name}`);
    item.classList.toggle('current', tab.current);
  }

  /** Moves the focus between tabs with the arrow keys. */
  #walk(event) {
    const choices = [...this.#strip.querySelectorAll('.choose')];
    const at = choices.indexOf(document.activeElement);
    const last = choices.length - 1;
    const next = {
      ArrowLeft: at > 0 ? at - 1 : last,
      ArrowRight: at < last ? at + 1 : 0,
      Home: 0,
      End: last,
    }[event.key];
    if (at < 0 || next === undefined) return;
    event.preventDefault();
    choices[next].focus();
  }

  /** Scrolls to a tab. `scrollIntoView` would also scroll a page that embeds this one. */
  #reveal(item) {
    if (!item) return;
    const { offsetLeft: left, offsetWidth: width } = item;
    const { scrollLeft, clientWidth } = this.#strip;
    if (left < scrollLeft) this.#strip.scrollLeft = left;
    else if (left + width > scrollLeft + clientWidth) this.#strip.scrollLeft = left + width - clientWidth;
  }
}
