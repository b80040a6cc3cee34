// The code editor. CodeMirror is loaded when the first session is opened; until then, and if that
// fails, a plain text field takes its place. The code of each language is kept until the tab is
// closed.

import { make } from '/operator/page/words.js';
import { EXAMPLES } from './examples.js';

const CODE_ITEM = 'hearth-code-';
const DEFAULT_TIMEOUT = 30;
const MODES = { node: 'javascript', python: 'python', bash: 'shell' };
const INDENTS = { node: 2, python: 4, bash: 2 };
/** The library, and then what extends it. */
const LIBRARY = ['codemirror.js'];
const EXTENSIONS = ['javascript.js', 'python.js', 'shell.js', 'matchbrackets.js', 'closebrackets.js', 'comment.js'];

const element = (id) => document.getElementById(id);

export class Editor {
  #run;
  #language = 'node';
  /** CodeMirror, or `null` while the plain field is used. */
  #rich = null;
  #plain = make('textarea', 'plain');
  #isLoading = false;

  /** `run()` is called for Ctrl+Enter. */
  constructor(run) {
    this.#run = run;
    this.#plain.spellcheck = false;
    this.#plain.setAttribute('aria-label', 'Code');
    this.#plain.setAttribute('aria-describedby', 'editor-hint');
    this.#plain.addEventListener('input', () => this.#keep());
    element('editor').addEventListener('keydown', (event) => this.#runByKey(event), true);
    element('editor').append(this.#plain);
    for (const radio of this.#radios()) radio.addEventListener('change', () => this.#choose(radio.value));
    element('examples').addEventListener('change', () => this.#takeExample());
    this.#choose('node');
  }

  /** Prepares the editor for a session. */
  open(isUsed) {
    if (isUsed && !this.#isLoading) {
      this.#isLoading = true;
      this.#load();
    }
    this.#rich?.refresh();
  }

  /** Shows this code. */
  show(language, code) {
    for (const radio of this.#radios()) radio.checked = radio.value === language;
    this.#choose(language);
    this.#setText(code);
    (this.#rich ?? this.#plain).focus();
  }

  /** Returns the request that runs the code. */
  request() {
    this.#readInsertedText();
    const timeout = element('timeout').valueAsNumber;
    return { code: this.#text(), language: this.#language, timeout: Number.isNaN(timeout) ? DEFAULT_TIMEOUT : timeout };
  }

  /** Makes the library read text that was inserted just now, which it does later on a touch screen. */
  #readInsertedText() {
    const input = this.#rich?.display.input;
    input?.forceCompositionEnd?.();
    if (input?.readDOMTimeout) input.updateFromDOM();
  }

  #radios() {
    return element('languages').querySelectorAll('input');
  }

  #choose(language) {
    this.#language = language;
    const examples = element('examples');
    const options = EXAMPLES[language].map(([name], index) => new Option(name, String(index)));
    examples.replaceChildren(new Option('Examples…', ''), ...options);
    this.#rich?.setOption('mode', MODES[language]);
    this.#rich?.setOption('indentUnit', INDENTS[language]);
    this.#setText(sessionStorage.getItem(CODE_ITEM + language) ?? EXAMPLES[language][0][1]);
    this.#rich?.clearHistory();
  }

  #takeExample() {
    const { value } = element('examples');
    element('examples').value = '';
    if (value) this.#setText(EXAMPLES[this.#language][Number(value)][1]);
  }

  #text() {
    return this.#rich ? this.#rich.getValue() : this.#plain.value;
  }

  #setText(text) {
    if (this.#rich) this.#rich.setValue(text);
    else this.#plain.value = text;
    this.#keep();
  }

  #keep() {
    try {
      sessionStorage.setItem(CODE_ITEM + this.#language, this.#text());
    } catch {
      // The storage is full. The code stays in the editor.
    }
  }

  #runByKey(event) {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    event.stopPropagation();
    this.#run();
  }

  async #load() {
    try {
      await Promise.all(LIBRARY.map(loadScript));
      await Promise.all(EXTENSIONS.map(loadScript));
      this.#replacePlainField();
    } catch (error) {
      console.warn('The code editor was not loaded; a plain field takes its place.', error);
    }
  }

  #replacePlainField() {
    const hadFocus = document.activeElement === this.#plain;
    const text = this.#plain.value;
    this.#plain.remove();
    this.#rich = globalThis.CodeMirror(element('editor'), {
      value: text,
      mode: MODES[this.#language],
      indentUnit: INDENTS[this.#language],
      lineNumbers: true,
      lineWrapping: true,
      matchBrackets: true,
      autoCloseBrackets: true,
      theme: 'hearth',
      inputStyle: matchMedia('(any-pointer: coarse)').matches ? 'contenteditable' : 'textarea',
      screenReaderLabel: 'Code',
      extraKeys: keys(true),
    });
    this.#rich.getInputField().setAttribute('aria-describedby', 'editor-hint');
    this.#rich.on('change', () => this.#keep());
    for (const change of ['blur', 'inputRead']) this.#rich.on(change, (editor) => editor.setOption('extraKeys', keys(true)));
    if (hadFocus) this.#rich.focus();
  }
}

/** Returns what keys do. After Escape, Tab leaves the editor instead of indenting. */
function keys(isIndenting) {
  return {
    Tab: isIndenting && indent,
    'Shift-Tab': isIndenting && ((editor) => editor.indentSelection('subtract')),
    Esc: (editor) => editor.setOption('extraKeys', keys(false)),
    'Ctrl-/': 'toggleComment',
    'Cmd-/': 'toggleComment',
  };
}

function indent(editor) {
  if (editor.somethingSelected()) editor.indentSelection('add');
  else editor.execCommand('insertSoftTab');
}

/** Loads a script that defines a global, because the library is not a module. */
function loadScript(name) {
  return new Promise((loaded, failed) => {
    const script = document.createElement('script');
    script.src = `/workbench/page/${name}`;
    script.addEventListener('load', loaded);
    script.addEventListener('error', () => failed(new Error(`cannot load ${name}`)));
    document.head.append(script);
  });
}
