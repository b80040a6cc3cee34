// Converts a copy of the page to Markdown. Runs in the page, in an isolated world. The preceding
// sources define `TurndownService`, `turndownPluginGfm`, `tree` and `flattenTables`.
//
// Its value is a function that takes the result of copy.js and returns Markdown.
(() => {
    const { TreeText, TreeElement } = tree;

    const BLOCKS = new Set([
        ...['ADDRESS', 'ARTICLE', 'ASIDE', 'BLOCKQUOTE', 'BODY', 'CENTER', 'DD', 'DIV', 'DL', 'DT', 'FIELDSET', 'FIGCAPTION'],
        ...['FIGURE', 'FOOTER', 'FORM', 'H1', 'H2', 'H3', 'H4', 'H5', 'H6', 'HEADER', 'HGROUP', 'HR', 'LI', 'MAIN', 'NAV', 'OL'],
        ...['OUTPUT', 'P', 'PRE', 'SECTION', 'SUMMARY', 'TABLE', 'TBODY', 'TD', 'TFOOT', 'TH', 'THEAD', 'TR', 'UL'],
    ]);
    const HEADING = /^H[1-6]$/;
    const STRONG = new Set(['STRONG', 'B']);
    const EMPHASIS = new Set(['EM', 'I']);
    const STRUCK = new Set(['DEL', 'S', 'STRIKE']);

    const isElement = (node) => node?.nodeType === Node.ELEMENT_NODE;
    const isBlankText = (node) => node?.nodeType === Node.TEXT_NODE && !/\S/.test(node.data);

    const children = (element) => {
        const found = [];
        for (let node = element.firstChild; node; node = node.nextSibling) found.push(node);
        return found;
    };

    const moveChildren = (from, to) => {
        for (const node of children(from)) {
            from.removeChild(node);
            to.append(node);
        }
    };

    /** Replaces an element with its children. */
    const dissolve = (element) => {
        const nodes = children(element);
        for (const node of nodes) element.removeChild(node);
        element.replaceWith(nodes);
    };

    /** Returns the text below an element. `textContent` would store it, and the tree still changes. */
    const readText = (element) => {
        let text = '';
        for (let node = element.firstChild; node; node = node.nextSibling) {
            text += isElement(node) ? readText(node) : node.data;
        }
        return text;
    };

    const find = (element, isWanted) => {
        for (let node = element.firstChild; node; node = node.nextSibling) {
            if (!isElement(node)) continue;
            const found = isWanted(node) ? node : find(node, isWanted);
            if (found) return found;
        }
        return null;
    };

    /** The nearest sibling that is not white space. */
    const neighbour = (node, side) => {
        do node = node[side];
        while (isBlankText(node));
        return node;
    };

    /** Removes links to a heading itself, which show only a sign. */
    const dropAnchors = (heading) => {
        for (const link of heading.collectElements().filter(({ nodeName }) => nodeName === 'A')) {
            const isSign = /^[\s#¶§🔗\u200B\u{1F517}\uFE0F]*$/u.test(readText(link));
            const isAnchor = /(?:^|[\s_-])(?:anchor|headerlink|header-anchor|hash-link|permalink)(?:$|[\s_-])/.test(link.getAttribute('class') ?? '');
            if (isSign && (isAnchor || !find(link, ({ nodeName }) => nodeName === 'IMG'))) link.replaceWith();
        }
    };

    /**
     * Makes a link around several blocks readable: it becomes the link of the heading inside it. A
     * link around tables or code loses its address, because Markdown cannot express it.
     */
    const prepareLink = (link) => {
        const heading = find(link, ({ nodeName }) => HEADING.test(nodeName));
        const isHeavy = find(link, ({ nodeName }) => ['TABLE', 'PRE', 'UL', 'OL', 'BLOCKQUOTE', 'A'].includes(nodeName));
        if (!heading && !isHeavy) return;
        if (heading && !find(heading, ({ nodeName }) => nodeName === 'A')) {
            const inner = new TreeElement('A');
            inner.attributes = link.attributes;
            moveChildren(heading, inner);
            heading.append(inner);
        }
        link.rename('DIV');
    };

    /** Returns an item of a definition list: the terms, and one or more definitions. */
    const definitionItem = (terms, definitions) => {
        const item = new TreeElement('LI');
        const isShort = definitions.length === 1 && !definitions[0].hasBlocks;
        terms.forEach((term, at) => {
            if (at > 0) item.append(new TreeText(', '));
            if (term.hasBlocks) {
                term.rename('DIV');
                return item.append(term);
            }
            const last = term.lastChild;
            if (isShort && last?.nodeType === Node.TEXT_NODE) last.data = last.data.replace(/\s*[:：]?\s*$/, '');
            const strong = new TreeElement('STRONG');
            moveChildren(term, strong);
            item.append(strong);
        });
        if (isShort) {
            if (terms.length > 0) item.append(new TreeText(': '));
            moveChildren(definitions[0], item);
        } else if (definitions.length === 1) {
            definitions[0].rename('DIV');
            item.append(definitions[0]);
        } else if (definitions.length > 1) {
            const list = new TreeElement('UL');
            for (const definition of definitions) {
                definition.rename('LI');
                list.append(definition);
            }
            item.append(list);
        }
        return item;
    };

    /** Turns a definition list, which Markdown does not have, into a list. */
    const prepareDefinitions = (list) => {
        const parts = children(list).flatMap((node) => {
            list.removeChild(node);
            if (node.nodeName !== 'DIV') return [node];
            const inner = children(node);
            if (!inner.some(({ nodeName }) => nodeName === 'DT' || nodeName === 'DD')) return [node];
            for (const part of inner) node.removeChild(part);
            return inner;
        });
        list.rename('UL');
        let [terms, definitions] = [[], []];
        const finish = () => {
            if (terms.length + definitions.length > 0) list.append(definitionItem(terms, definitions));
            [terms, definitions] = [[], []];
        };
        for (const part of parts.filter((node) => !isBlankText(node))) {
            if (part.nodeName === 'DT' && definitions.length > 0) finish();
            if (part.nodeName === 'DT') {
                terms.push(part);
            } else if (part.nodeName === 'DD') {
                definitions.push(part);
            } else {
                finish();
                const item = new TreeElement('LI');
                item.append(part);
                list.append(item);
            }
        }
        finish();
    };

    /** Puts a list that is directly in a list, as some editors write it, into the item before it. */
    const prepareList = (list) => {
        let item = null;
        for (const node of children(list)) {
            if (node.nodeName === 'LI') {
                item = node;
            } else if (node.nodeName === 'UL' || node.nodeName === 'OL') {
                list.removeChild(node);
                if (!item) list.append((item = new TreeElement('LI')));
                item.append(node);
            }
        }
    };

    /**
     * Removes a line break, and the white space after it if there is white space before it. The
     * search for a neighbour would otherwise visit the white space around all removed breaks again.
     */
    const removeBreak = (element) => {
        const { parentNode, previousSibling } = element;
        let next = element.nextSibling;
        parentNode.removeChild(element);
        if (!isBlankText(previousSibling)) return;
        for (; isBlankText(next); next = previousSibling.nextSibling) parentNode.removeChild(next);
    };

    /** Removes line breaks at the edges of blocks. Several in a row separate paragraphs. */
    const prepareBreak = (element) => {
        const previous = neighbour(element, 'previousSibling');
        const next = neighbour(element, 'nextSibling');
        const isEdge = (node, parent) => (node === null ? BLOCKS.has(parent.nodeName) : isElement(node) && BLOCKS.has(node.nodeName));
        if (isEdge(previous, element.parentNode) || isEdge(next, element.parentNode)) {
            removeBreak(element);
        } else if (next?.nodeName === 'BR') {
            element.rename('DIV');
            removeBreak(next);
        }
    };

    /**
     * Prepares everything below an element, children first. Returns true if there is a block.
     * `inside` contains the names of elements around it that change the meaning of others.
     */
    const prepare = (element, inside) => {
        let hasBlocks = false;
        for (let node = element.firstChild; node; ) {
            const next = node.nextSibling;
            if (isElement(node)) hasBlocks = prepareElement(node, inside) || hasBlocks;
            node = next;
        }
        const breaks = children(element).filter(({ nodeName }) => nodeName === 'BR');
        for (const node of breaks) {
            // The break before it may have removed it.
            if (node.parentNode === element) prepareBreak(node);
            hasBlocks ||= node.nodeName === 'DIV';
        }
        return hasBlocks;
    };

    const prepareElement = (element, inside) => {
        const name = element.nodeName;
        const isHeading = HEADING.test(name) || name === 'SUMMARY';
        const around = { ...inside };
        if (isHeading || STRONG.has(name)) around.strong = true;
        if (EMPHASIS.has(name)) around.emphasis = true;
        const hasBlocks = prepare(element, isHeading || STRONG.has(name) || EMPHASIS.has(name) ? around : inside);
        if (name === 'DT' || name === 'DD') element.hasBlocks = hasBlocks;
        if (STRONG.has(name) && (hasBlocks || inside.strong)) dissolve(element);
        else if (EMPHASIS.has(name) && (hasBlocks || inside.emphasis)) dissolve(element);
        else if ((STRUCK.has(name) || name === 'CODE') && hasBlocks) dissolve(element);
        else if (HEADING.test(name) || name === 'DT') dropAnchors(element);
        else if (name === 'A' && hasBlocks) prepareLink(element);
        else if (name === 'DL') prepareDefinitions(element);
        else if (name === 'UL' || name === 'OL') prepareList(element);
        else if (name === 'SUMMARY') prepareSummary(element, hasBlocks);
        else if (name === 'CODE' && find(element, ({ nodeName }) => nodeName === 'CODE')) dissolve(element);
        return hasBlocks || BLOCKS.has(name);
    };

    const prepareSummary = (element, hasBlocks) => {
        element.rename(hasBlocks ? 'DIV' : 'P');
        if (hasBlocks) return;
        const strong = new TreeElement('STRONG');
        moveChildren(element, strong);
        element.append(strong);
    };

    /**
     * Numbers the items in one pass. Searching for each item's position would take quadratic time
     * in the length of the list.
     */
    const numberItems = (lists) => {
        for (const list of lists) {
            if (list.nodeName !== 'OL') continue;
            let number = Number.parseInt(list.getAttribute('start') ?? '1', 10) || 0;
            for (let item = list.firstChild; item; item = item.nextSibling) {
                if (!isElement(item)) continue;
                const own = Number.parseInt(item.getAttribute('value') ?? '', 10);
                if (item.nodeName === 'LI' && own >= 0) number = own;
                item.number = number++;
            }
        }
    };

    const service = new TurndownService({
        headingStyle: 'atx',
        codeBlockStyle: 'fenced',
        bulletListMarker: '-',
        hr: '---',
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

    service.addRule('heading', {
        filter: ['h1', 'h2', 'h3', 'h4', 'h5', 'h6'],
        replacement: (content, heading) => {
            const text = content.replace(/\s*\n\s*/g, ' ').trim();
            return text && `\n\n${'#'.repeat(Number(heading.nodeName[1]))} ${text}\n\n`;
        },
    });

    service.addRule('link', {
        filter: (element) => element.nodeName === 'A' && element.getAttribute('href'),
        replacement: (content, link) => {
            const text = content.trim() || link.getAttribute('aria-label') || '';
            if (!text) return '';
            // Such an address is code for the page.
            if (/^javascript:/i.test(link.getAttribute('href'))) return text;
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

    service.addRule('formula', {
        filter: 'formula',
        // Not its text, whose white space and special characters the library changes.
        replacement: (_, formula) => formula.getAttribute('text'),
    });

    service.addRule('raised', {
        filter: ['sup', 'sub'],
        replacement: (content, { nodeName }) => content && `<${nodeName.toLowerCase()}>${content}</${nodeName.toLowerCase()}>`,
    });

    service.addRule('tableCell', {
        filter: ['td', 'th'],
        replacement: (content, cell) => {
            const text = content.trim().replace(/\s*\n\s*/g, '<br>').replace(/\|/g, '\\|');
            return `${cell.previousSibling ? ' ' : '| '}${text.padEnd(3)} |`;
        },
    });

    // Skips texts without special characters, which are the majority. The library would search each
    // of them thirteen times.
    const { escape } = service;
    const escapeText = (text) =>
        escape(text)
            // An underscore inside a word emphasizes nothing.
            .replace(/(?<=[\p{L}\p{N}])\\_(?=[\p{L}\p{N}])/gu, '_')
            // A reader would take these for HTML.
            .replace(/<(?=[a-z/!?])/gi, '\\<')
            .replace(/&(?=#?\w+;)/g, '\\&');
    service.escape = (text) => (/[-\\*+=#`~[\]>_\d<&]/.test(text) ? escapeText(text) : text);

    return ({ root, tables, lists }) => {
        flattenTables(tables);
        prepare(root, {});
        numberItems(lists);
        return service.turndown(root);
    };
})()
