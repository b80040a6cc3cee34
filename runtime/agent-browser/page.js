// Runs in the page, in an isolated world: the page's scripts cannot access it, and their changes to
// built-in prototypes do not affect it. The preceding sources define `TurndownService`,
// `turndownPluginGfm` and `tree`.
//
// Reads the page's DOM once and converts a copy made of plain objects, so nothing loads, no custom
// element is upgraded, and the page does not change. Its value is the page as Markdown.
(() => {
    const { TreeText, TreeElement } = tree;

    /** Elements that the copy omits, with everything below them. */
    const LEFT_OUT = new Set(['script', 'style', 'noscript', 'template', 'iframe', 'object', 'embed']);
    /** The attributes that the conversion reads, by element. */
    const ATTRIBUTES = {
        A: ['href', 'title', 'aria-label'],
        IMG: ['src', 'alt', 'title'],
        OL: ['start'],
    };
    const CELL_ATTRIBUTES = ['align', 'colspan'];
    const COMMON_ATTRIBUTES = ['role', 'aria-checked'];
    const ADDRESSES = new Set(['href', 'src']);

    const inert = document.implementation.createHTMLDocument('');
    const base = document.baseURI;
    const addresses = new Map();
    const names = new Map();
    const tables = [];
    const lists = [];

    const resolve = (address) => {
        try {
            return new URL(address, base).href;
        } catch {
            return address.trim().replace(/\s/g, '%20');
        }
    };

    /**
     * Returns an absolute address. Caches it, because pages repeat addresses and URL objects are
     * slow.
     */
    const absolute = (address) => {
        let known = addresses.get(address);
        if (known === undefined) addresses.set(address, (known = resolve(address)));
        return known;
    };

    /**
     * Returns an equal string that compares fast with strings of the library, because V8 compares
     * only property keys by address.
     */
    const intern = (name) => {
        let known = names.get(name);
        if (!known) names.set(name, (known = Object.keys({ [name]: 0 })[0]));
        return known;
    };

    const copyAttributes = (source, element, isCell) => {
        const attributes = { __proto__: null };
        const wanted = isCell ? CELL_ATTRIBUTES : (ATTRIBUTES[element.nodeName] ?? []);
        for (const name of [...wanted, ...COMMON_ATTRIBUTES]) {
            const value = source.getAttribute(name);
            if (value !== null) attributes[name] = ADDRESSES.has(name) ? absolute(value) : value;
        }
        element.attributes = attributes;
        if (source.hasAttribute('type')) {
            element.type = source.type;
            element.checked = source.checked;
        }
        if (isCell && source.hasAttribute('style')) {
            element.style = { textAlign: inert.importNode(source).style.textAlign };
        }
    };

    const language = (pre, parent) => {
        for (const element of [pre.querySelector('code'), pre, parent]) {
            const named = /(?:^|\s)(?:language-|lang-|highlight-(?:source-|text-)?|brush:\s*)([\w+#.-]+)/.exec(
                element?.getAttribute('class') ?? '',
            );
            if (named) return named[1];
        }
        return '';
    };

    /**
     * Copies a `pre` in the form that the library converts to a code block: one `code` element that
     * contains only text.
     */
    const copyPre = (source, element) => {
        const pre = inert.importNode(source, true);
        pre.querySelectorAll([...LEFT_OUT].join()).forEach((part) => part.remove());
        pre.querySelectorAll('br').forEach((line) => line.replaceWith('\n'));
        const code = new TreeElement('CODE', pre.textContent);
        const name = language(pre, source.parentElement);
        if (name) code.attributes = { __proto__: null, class: `language-${name}` };
        element.append(code);
    };

    const copyElement = (source, parent) => {
        const element = new TreeElement(intern(source.nodeName));
        if (source.hasAttributes()) copyAttributes(source, element, parent.nodeName === 'TR');
        if (element.nodeName === 'TABLE') tables.push(element);
        else if (element.nodeName === 'OL') lists.push(element);
        parent.append(element);
        if (element.nodeName === 'PRE') copyPre(source, element);
        else copyChildren(source, element);
    };

    const copyChildren = (source, parent) => {
        for (let node = source.firstChild; node; node = node.nextSibling) {
            const { nodeType } = node;
            if (nodeType === Node.TEXT_NODE || nodeType === Node.CDATA_SECTION_NODE) {
                const text = new TreeText(node.data);
                if (nodeType === Node.CDATA_SECTION_NODE) text.nodeType = nodeType;
                parent.append(text);
            } else if (nodeType === Node.ELEMENT_NODE && !LEFT_OUT.has(node.localName)) {
                copyElement(node, parent);
            }
        }
    };

    const copyPage = () => {
        const body = document.body ?? document.documentElement;
        const root = new TreeElement('BODY');
        // In an XML document the names of HTML elements are lower case. Names in the copy are upper
        // case.
        copyChildren(document.contentType === 'text/html' ? body : inert.importNode(body, true), root);
        return root;
    };

    /** Dissolves a table into its cells. */
    const dissolveTable = (table) => {
        const parts = new Set(['CAPTION', 'THEAD', 'TBODY', 'TFOOT', 'TR', 'TD', 'TH']);
        for (const element of table.collectElements([], 'TABLE')) {
            if (parts.has(element.nodeName)) element.rename('DIV');
        }
        table.rename('DIV');
    };

    /**
     * Replaces the blocks inside cells with similar inline elements, because Markdown has one line
     * per row. Otherwise the plugin would leave the whole table as HTML.
     */
    const flattenCells = (elements) => {
        for (const element of elements) {
            const name = element.nodeName;
            if (/^H[1-6]$/.test(name)) {
                element.rename('STRONG');
            } else if (name === 'UL' || name === 'OL' || name === 'BLOCKQUOTE') {
                element.rename('DIV');
            } else if (name === 'HR') {
                element.replaceWith();
            } else if (name === 'PRE') {
                const lines = element.firstChild.textContent.trimEnd().split('\n');
                const codes = lines.map((line) => new TreeElement('CODE', line));
                element.replaceWith(
                    ...codes.flatMap((code, index) => (index ? [new TreeElement('BR'), code] : [code])),
                );
            }
        }
    };

    /**
     * Prepares tables for the plugin. A table that contains other tables, or only one cell, is a
     * layout table.
     */
    const flattenTables = () => {
        const dissolved = new Set();
        for (const table of tables.reverse()) {
            const elements = table.collectElements();
            const cells = elements.filter(({ nodeName }) => nodeName === 'TD' || nodeName === 'TH');
            const isLayout = elements.some((element) => element.nodeName === 'TABLE' || dissolved.has(element));
            if (isLayout || cells.length <= 1) {
                dissolved.add(table);
                dissolveTable(table);
            } else {
                flattenCells(elements);
            }
        }
    };

    /**
     * Numbers the items in one pass. Searching for each item's position would take quadratic time
     * in the length of the list.
     */
    const numberItems = () => {
        for (const list of lists) {
            if (list.nodeName !== 'OL') continue;
            let number = Number.parseInt(list.getAttribute('start') ?? '1', 10) || 0;
            for (let item = list.firstChild; item; item = item.nextSibling) {
                if (item.nodeType === Node.ELEMENT_NODE) item.number = number++;
            }
        }
    };

    const service = new TurndownService({
        headingStyle: 'atx',
        codeBlockStyle: 'fenced',
        bulletListMarker: '-',
    });
    service.use([turndownPluginGfm.tables, turndownPluginGfm.strikethrough, turndownPluginGfm.taskListItems]);

    service.addRule('listItem', {
        filter: 'li',
        replacement: (content, item) => {
            const marker = item.number === undefined ? '- ' : `${item.number}. `;
            const text = content.trim().replace(/\n(?=.)/g, `\n${' '.repeat(marker.length)}`);
            return `${marker}${text}${item.nextElementSibling ? '\n' : ''}`;
        },
    });

    service.addRule('link', {
        filter: (element) => element.nodeName === 'A' && element.getAttribute('href'),
        replacement: (content, link) => {
            const text = content.trim() || link.getAttribute('aria-label') || '';
            if (!text) return '';
            const address = link.getAttribute('href').replace(/[()]/g, '\\$&');
            const title = (link.getAttribute('title') ?? '').replace(/\s+/g, ' ').replace(/["\\]/g, '\\$&');
            // A line break ends a link's text unless it is escaped.
            return `[${text.replace(/\n/g, '\\\n')}](${address}${title && ` "${title}"`})`;
        },
    });

    // The bytes of an embedded image are not text, and would be most of the output.
    service.addRule('embeddedImage', {
        filter: (element) => element.nodeName === 'IMG' && /^data:/i.test(element.getAttribute('src') ?? ''),
        replacement: (_, image) => `![${service.escape(image.getAttribute('alt') ?? '')}](<Base64-Image-Removed>)`,
    });

    // Skips texts without special characters, which are the majority. The library would search each
    // of them thirteen times.
    const { escape } = service;
    service.escape = (text) => (/[-\\*+=#`~[\]>_\d]/.test(text) ? escape(text) : text);

    const root = copyPage();
    flattenTables();
    numberItems();
    return service.turndown(root);
})()
