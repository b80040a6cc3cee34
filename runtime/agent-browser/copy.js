// Copies a part of the page to the plain objects of tree.js. Runs in the page, in an isolated
// world, after `dom` and `tree`.
//
// Reads the page's DOM once, so nothing loads, no custom element is upgraded, and the page does not
// change. Its value is a function that takes elements, the `addresses` of their page, and a function
// `show` that returns the element to copy for an element of the page, or null to omit it. The
// function returns `{ root, tables, lists }`.
(() => (sources, addresses, show = (element) => element) => {
    const { TreeText, TreeElement } = tree;
    const { forEachChild, localName, getAttribute, nodeType } = dom;

    /**
     * The depth below which the copy has only text. Conversions recurse, and only scripts can nest
     * elements deeper than a parser's limit of 512.
     */
    const MAX_DEPTH = 600;

    /** Elements that the copy omits, with everything below them. */
    const LEFT_OUT = new Set([
        ...['script', 'style', 'noscript', 'template', 'object', 'embed', 'svg', 'datalist', 'head', 'title'],
        ...['link', 'meta', 'source', 'track', 'param', 'area', 'noembed', 'noframes'],
    ]);
    /** The attributes that the conversion reads, by element. */
    const ATTRIBUTES = {
        A: ['href', 'title', 'aria-label', 'class'],
        IMG: ['src', 'alt', 'title'],
        OL: ['start'],
        LI: ['value'],
        TD: ['align', 'colspan', 'rowspan'],
        TH: ['align', 'colspan', 'rowspan'],
    };
    const COMMON_ATTRIBUTES = ['role', 'aria-checked'];
    /** Elements whose names mean nothing for the conversion. The copy has their children instead. */
    const TRANSPARENT = new Set([
        ...['SPAN', 'FONT', 'BDI', 'BDO', 'ABBR', 'ACRONYM', 'TIME', 'DATA', 'LABEL', 'SMALL', 'BIG', 'U', 'INS'],
        ...['MARK', 'SLOT', 'PICTURE', 'NOBR', 'CITE', 'DFN', 'VAR', 'RUBY', 'RB', 'RBC', 'RTC', 'BUTTON'],
    ]);
    /** Elements that the library does not know to be blocks, and the ones that it knows. */
    const RENAMED = {
        DETAILS: 'DIV',
        DIALOG: 'DIV',
        LEGEND: 'P',
        OPTGROUP: 'DIV',
        SEARCH: 'DIV',
        MENU: 'UL',
        DIR: 'UL',
        LISTING: 'PRE',
        XMP: 'PRE',
        PLAINTEXT: 'PRE',
        TT: 'CODE',
        KBD: 'CODE',
        SAMP: 'CODE',
    };
    /** Parts of a code block that are not code: line numbers and buttons. */
    const BESIDE_CODE =
        '.linenos, .lineno, .linenodiv, .line-number, .line-numbers, .line-numbers-rows, .gutter, .hljs-ln-numbers, .blob-num, ' +
        '.rouge-gutter, .react-syntax-highlighter-line-number, button, [aria-hidden="true"][data-line-number]';
    const LINES = new Set(['div', 'p', 'li', 'tr', 'ol', 'ul', 'table', 'blockquote', 'section']);
    const SUPERSCRIPTS = new Map([...'0123456789+−-=()ni'].map((plain, at) => [plain, [...'⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿⁱ'][at]]));
    const SUBSCRIPTS = new Map([...'0123456789+−-=()aeox'].map((plain, at) => [plain, [...'₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₒₓ'][at]]));

    const names = new Map();
    const tables = [];
    const lists = [];
    let depth = 0;

    /**
     * Returns the name of an element in upper case. The string is interned, because V8 compares
     * only those by address, and the library compares names often.
     */
    const nameOf = (name) => {
        let known = names.get(name);
        if (!known) names.set(name, (known = Object.keys({ [name.toUpperCase()]: 0 })[0]));
        return known;
    };

    const addText = (parent, data) => {
        const clean = data.replace(/[\u00AD\uFEFF]/g, '');
        if (clean) parent.append(new TreeText(clean));
    };

    const style = (element) => getComputedStyle(element);

    /** Adds text. Keeps its line breaks if the page shows them. */
    const copyText = (data, source, parent) => {
        if (/\S[^\S\n]*\n[\s\S]*\S/.test(data) && /^(?:pre|break-spaces)/.test(style(source).whiteSpace)) {
            data.split('\n').forEach((line, at) => {
                if (at > 0) parent.append(new TreeElement('BR'));
                addText(parent, line);
            });
        } else {
            addText(parent, data);
        }
    };

    const copyAttributes = (source, element) => {
        const attributes = { __proto__: null };
        for (const name of [...(ATTRIBUTES[element.nodeName] ?? []), ...COMMON_ATTRIBUTES]) {
            const value = getAttribute(source, name);
            if (value !== null) attributes[name] = name === 'href' ? addresses.absolute(value) : value;
        }
        element.attributes = attributes;
        if (element.nodeName === 'INPUT') {
            element.type = source.type;
            element.checked = source.checked;
        } else if (element.nodeName === 'TD' || element.nodeName === 'TH') {
            const align = /(?:^|;)\s*text-align\s*:\s*(left|right|center)/i.exec(getAttribute(source, 'style') ?? '');
            if (align) attributes.align = align[1];
        }
    };

    /** Returns the language of a code block, which highlighters keep in one of its classes. */
    const language = (pre) => {
        const parent = dom.parentElement(pre);
        for (const element of [dom.querySelector(pre, 'code'), pre, parent, parent && dom.parentElement(parent)]) {
            if (!element) continue;
            const named =
                /(?:^|\s)(?:language-|lang-|highlight-(?:source-|text-)?|brush:\s*|sourceCode\s+|hljs\s+(?!language-))([\w+#.-]+)/.exec(
                    dom.className(element),
                )?.[1] ??
                getAttribute(element, 'data-lang') ??
                getAttribute(element, 'data-language');
            if (named) return /^(?:none|text|plain|plaintext|default)$/.test(named) ? '' : named;
        }
        return '';
    };

    const isLine = (element) =>
        LINES.has(localName(element)) ||
        (/^(?:span|code)$/.test(localName(element)) &&
            nodeType(dom.nextSibling(element) ?? element) === Node.ELEMENT_NODE &&
            /^(?:block|flex|grid)$/.test(style(element).display));

    /** Appends the text of a code block to `parts`. Its elements may be lines. */
    const readCode = (source, parts) => {
        forEachChild(source, (node) => {
            if (nodeType(node) === Node.TEXT_NODE) {
                if (node.data) parts.push(node.data);
            } else if (nodeType(node) === Node.ELEMENT_NODE && !LEFT_OUT.has(localName(node))) {
                if (localName(node) === 'br') parts.push('\n');
                else if (!dom.matches(node, BESIDE_CODE)) readElementOfCode(node, parts);
            }
        });
    };

    const readElementOfCode = (element, parts) => {
        const endLine = () => {
            if (parts.length > 0 && !parts.at(-1).endsWith('\n')) parts.push('\n');
        };
        const isWhole = isLine(element);
        if (isWhole) endLine();
        const before = parts.length;
        if (++depth > MAX_DEPTH) parts.push(dom.textContent(element));
        else readCode(element, parts);
        depth--;
        if (!isWhole) return;
        // An empty line is a line too.
        if (parts.length === before && localName(element) !== 'table') parts.push('\n');
        else endLine();
    };

    /**
     * Copies a `pre` in the form that the library converts to a code block: one `code` element that
     * contains only text.
     */
    const copyPre = (source, element) => {
        const parts = [];
        readCode(source, parts);
        // A parser removes the first line break of a `pre`, but scripts insert it.
        const code = new TreeElement('CODE', parts.join('').replace(/^\n|\s+$/g, ''));
        const name = language(source);
        if (name) code.attributes = { __proto__: null, class: `language-${name}` };
        element.append(code);
    };

    const textOf = (source) => dom.textContent(source).replace(/\s+/g, ' ').trim();

    /** Elements that are not copied as they are. */
    const SPECIAL = {
        MATH(source, parent) {
            const isBlock = getAttribute(source, 'display') === 'block';
            const note = dom.querySelector(source, 'annotation[encoding="application/x-tex"]');
            let tex = (note ? textOf(note) : getAttribute(source, 'alttext')) ?? '';
            tex = tex.trim().replace(/^\{\\(?:display|text)style\s*([\s\S]*)\}$/, '$1').trim();
            const text = tex ? `$${tex}$` : linearMath(source).trim();
            if (!text) return;
            const formula = new TreeElement('FORMULA', 'x');
            formula.attributes = { __proto__: null, text: tex && isBlock ? `$$\n${tex}\n$$` : text };
            if (!isBlock) return parent.append(formula);
            const block = new TreeElement('DIV');
            block.append(formula);
            parent.append(block);
        },
        IMG(source, parent) {
            if (/^[01](?:px)?$/.test(getAttribute(source, 'width') ?? '') || /^[01](?:px)?$/.test(getAttribute(source, 'height') ?? '')) return;
            const alt = getAttribute(source, 'alt') ?? '';
            if (/(?:^|\s)(?:emoji|wp-smiley)(?:\s|$)/.test(dom.className(source)) && alt) return addText(parent, alt);
            // The formula beside it is copied.
            if (/mwe-math-fallback-image/.test(dom.className(source))) return;
            const image = new TreeElement('IMG');
            image.attributes = { __proto__: null, src: addresses.image(source), alt: alt.trim() };
            const title = getAttribute(source, 'title');
            if (title) image.attributes.title = title;
            parent.append(image);
        },
        IFRAME(source, parent) {
            addMedia(source, parent, getAttribute(source, 'title')?.trim());
        },
        VIDEO(source, parent) {
            addMedia(source, parent, getAttribute(source, 'title') || getAttribute(source, 'aria-label') || 'Video');
        },
        AUDIO(source, parent) {
            addMedia(source, parent, getAttribute(source, 'title') || getAttribute(source, 'aria-label') || 'Audio');
        },
        SELECT(source, parent) {
            addText(parent, [...source.selectedOptions].map(textOf).join(', '));
        },
        TEXTAREA(source, parent) {
            if (!source.value.trim()) return;
            const block = new TreeElement('PRE');
            block.append(new TreeElement('CODE', source.value.trimEnd()));
            parent.append(block);
        },
        Q(source, parent) {
            addText(parent, '“');
            copyChildren(source, parent);
            addText(parent, '”');
        },
        RT(source, parent) {
            const previous = dom.previousSibling(source);
            const hasMarks = previous && nodeType(previous) === Node.ELEMENT_NODE && localName(previous) === 'rp';
            if (!hasMarks) addText(parent, '(');
            copyChildren(source, parent);
            if (!hasMarks) addText(parent, ')');
        },
        RP(source, parent) {
            addText(parent, textOf(source));
        },
        SUP: (source, parent) => copyRaised(source, parent, SUPERSCRIPTS, 'SUP'),
        SUB: (source, parent) => copyRaised(source, parent, SUBSCRIPTS, 'SUB'),
    };

    /** Copies an index as Unicode characters if they exist. Otherwise the conversion writes HTML. */
    const copyRaised = (source, parent, characters, name) => {
        const text = textOf(source);
        if (dom.querySelector(source, 'a') || /^(?:st|nd|rd|th|er|e|o|a|ª|º|°|™|®|℠|TM)$/.test(text)) {
            copyChildren(source, parent);
        } else if ([...text].every((character) => characters.has(character))) {
            addText(parent, [...text].map((character) => characters.get(character)).join(''));
        } else {
            const raised = new TreeElement(name);
            copyChildren(source, raised);
            parent.append(raised);
        }
    };

    /** Links to media, which Markdown cannot embed. */
    const addMedia = (source, parent, label) => {
        const inner = dom.querySelector(source, 'source[src]');
        const address = getAttribute(source, 'src') || getAttribute(source, 'data-src') || (inner && getAttribute(inner, 'src'));
        if (!address || !label || /^advert|3rd party ad|recaptcha/i.test(label)) return;
        const absolute = addresses.absolute(address);
        if (!/^https?:/i.test(absolute)) return;
        const block = new TreeElement('DIV');
        const link = new TreeElement('A', label);
        link.attributes = { __proto__: null, href: absolute };
        block.append(link);
        parent.append(block);
    };

    /** Returns presentation MathML as one line of text. */
    const linearMath = (source) => {
        const parts = [];
        forEachChild(source, (node) => {
            if (nodeType(node) === Node.TEXT_NODE) parts.push(node.data.trim());
            else if (nodeType(node) === Node.ELEMENT_NODE && ++depth <= MAX_DEPTH) parts.push(linearMath(node));
            if (nodeType(node) === Node.ELEMENT_NODE) depth--;
        });
        const found = parts.filter((part) => part);
        const grouped = found.map((part) => (part.length > 1 && !/^[\w.]+$/.test(part) ? `(${part})` : part));
        switch (localName(source)) {
            case 'annotation':
            case 'annotation-xml':
                return '';
            case 'mfrac':
                return grouped.join('/');
            case 'msqrt':
                return `√(${found.join('')})`;
            case 'msup':
            case 'mover':
                return `${found[0]}^${grouped[1] ?? ''}`;
            case 'msub':
            case 'munder':
                return `${found[0]}_${grouped[1] ?? ''}`;
            case 'msubsup':
            case 'munderover':
                return `${found[0]}_${grouped[1] ?? ''}^${grouped[2] ?? ''}`;
            case 'mo':
                return /^[=<>≤≥≠≈+\-−±×·→]$/.test(found[0]) ? ` ${found[0]} ` : found.join('');
            default:
                return found.join('').replace(/\s+/g, ' ');
        }
    };

    /** Returns true if no white space separates an element from its sibling. */
    const touches = (sibling, edge) =>
        sibling !== null && (nodeType(sibling) === Node.ELEMENT_NODE || (nodeType(sibling) === Node.TEXT_NODE && edge.test(sibling.data)));

    /**
     * Returns the way in which the page separates an inline element from its siblings: `line`,
     * `space` or nothing. Reads the style only if no white space does so.
     */
    const separation = (source) => {
        if (!touches(dom.previousSibling(source), /\S$/) && !touches(dom.nextSibling(source), /^\S/)) return '';
        const { display } = style(source);
        if (/^(?:inline-|table-cell)/.test(display)) return 'space';
        if (!/^(?:block|flex|grid|list-item|table|flow-root)/.test(display)) return '';
        const parent = dom.parentElement(source);
        const outer = parent && style(parent);
        return outer && /flex$/.test(outer.display) && outer.flexDirection.startsWith('row') ? 'space' : 'line';
    };

    const copyElement = (shown, parent) => {
        const source = show(shown);
        // The drawn form of a formula, whose MathML is copied.
        if (!source || /(?:^|\s)katex-html(?:\s|$)/.test(dom.className(source))) return;
        let name = nameOf(localName(source));
        if (Object.hasOwn(RENAMED, name)) name = RENAMED[name];
        let target = parent;
        let gap = '';
        const isTransparent = TRANSPARENT.has(name) || name.includes('-');
        if (isTransparent || name === 'A') {
            gap = separation(source);
            if (gap === 'line') parent.append((target = new TreeElement('DIV')));
            else if (gap === 'space') parent.append(new TreeText(' '));
        }
        if (++depth > MAX_DEPTH) {
            addText(target, dom.textContent(source));
        } else if (Object.hasOwn(SPECIAL, name)) {
            SPECIAL[name](source, target);
        } else if (name === 'PRE' && localName(source) === 'pre' && dom.querySelector(source, 'h1, h2, h3, p')) {
            // Some pages are one `pre` with everything inside, which is not a code block.
            target.append((target = new TreeElement('DIV')));
            copyChildren(source, target);
        } else if (isTransparent) {
            copyChildren(source, target);
        } else {
            copyNamed(name, source, target);
        }
        depth--;
        if (gap === 'space') parent.append(new TreeText(' '));
    };

    const copyNamed = (name, source, parent) => {
        const element = new TreeElement(name);
        if (dom.hasAttributes(source)) copyAttributes(source, element);
        if (name === 'TABLE') tables.push(element);
        else if (name === 'OL') lists.push(element);
        parent.append(element);
        if (name === 'PRE') copyPre(source, element);
        else copyChildren(source, element);
        // A link that shows only a drawing has the name of the drawing.
        if (name === 'A' && !element.firstChild && !element.getAttribute('aria-label')) {
            const title = dom.querySelector(source, 'svg > title');
            if (title) element.append(new TreeText(textOf(title)));
        }
    };

    const copyChildren = (source, parent) => {
        forEachChild(source, (node) => {
            const type = nodeType(node);
            if (type === Node.TEXT_NODE || type === Node.CDATA_SECTION_NODE) copyText(node.data, source, parent);
            else if (type === Node.ELEMENT_NODE && !LEFT_OUT.has(localName(node))) copyElement(node, parent);
        });
    };

    /** The element that must contain a source, if the page's is not copied. */
    const CONTAINERS = { li: 'UL', tr: 'TABLE', thead: 'TABLE', tbody: 'TABLE', tfoot: 'TABLE' };

    const root = new TreeElement('BODY');
    for (const source of sources) {
        const name = localName(source);
        const wanted = CONTAINERS[name] ?? 'DIV';
        if (name === 'body' || name === 'html') {
            copyChildren(source, root);
            continue;
        }
        let block = root.lastChild;
        if (wanted === 'DIV' || block?.nodeName !== wanted) {
            root.append((block = new TreeElement(wanted)));
            if (wanted === 'TABLE') tables.push(block);
        }
        if (name === 'td' || name === 'th') copyChildren(source, block);
        else copyElement(source, block);
    }
    return { root, tables, lists };
})()
