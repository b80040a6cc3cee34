// Tabs, of which one panel is visible. The arrow keys move between them.

const element = (id) => document.getElementById(id);

export class Tabs {
  #tabs = [...document.querySelectorAll('#tabs [role="tab"]')];
  #shown;

  /** `shown(name)` is called when a panel becomes visible. */
  constructor(shown) {
    this.#shown = shown;
    for (const tab of this.#tabs) {
      tab.addEventListener('click', () => this.select(nameOf(tab)));
      tab.addEventListener('keydown', (event) => this.#move(event));
    }
  }

  select(name) {
    for (const tab of this.#tabs) {
      const isSelected = nameOf(tab) === name;
      tab.setAttribute('aria-selected', String(isSelected));
      tab.tabIndex = isSelected ? 0 : -1;
      element(nameOf(tab)).hidden = !isSelected;
    }
    this.#shown(name);
  }

  /** Offers a tab or not. The first one takes the place of a selected tab that is not offered. */
  offer(name, isOffered) {
    const tab = element(`tab-${name}`);
    if (tab.hidden === !isOffered) return;
    tab.hidden = !isOffered;
    if (!isOffered && tab.getAttribute('aria-selected') === 'true') this.select(nameOf(this.#tabs[0]));
  }

  #move(event) {
    const offered = this.#tabs.filter((tab) => !tab.hidden);
    const place = offered.indexOf(event.currentTarget);
    const places = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: offered.length - 1 };
    if (!(event.key in places)) return;
    event.preventDefault();
    const next = offered.at(places[event.key] % offered.length);
    this.select(nameOf(next));
    next.focus();
  }
}

function nameOf(tab) {
  return tab.getAttribute('aria-controls');
}
