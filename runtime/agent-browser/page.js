// Runs in the page, in a JavaScript world of its own: the page's scripts cannot see it, and what they have done to
// built-in prototypes does not reach it. `TurndownService` and `turndownPluginGfm` come from the sources in front.
//
// Works on a copy in a document without a window, so nothing loads, no custom element wakes, and the page's own tree
// stays as it is. Its value is the page as Markdown.
(() => {
    const drop = 'script, style, noscript, template, iframe, object, embed';
    const inert = document.implementation.createHTMLDocument('');
    const root = inert.importNode(document.body ?? document.documentElement, true);

    const each = (selector, change) => root.querySelectorAll(selector).forEach(change);

    const absolute = (address) => {
        try {
            return new URL(address, document.baseURI).href;
        } catch {
            return address.trim().replace(/\s/g, '%20');
        }
    };

    // A new element in the place of an old one, with its children.
    const rename = (element, name) => {
        const renamed = inert.createElement(name);
        renamed.append(...element.childNodes);
        element.replaceWith(renamed);
        return renamed;
    };

    const removeWhatIsNotText = () => {
        each(drop, (element) => element.remove());
        const comments = inert.createTreeWalker(root, NodeFilter.SHOW_COMMENT);
        const found = [];
        while (comments.nextNode()) found.push(comments.currentNode);
        found.forEach((comment) => comment.remove());
    };

    const completeAddresses = () => {
        each('a[href]', (link) => link.setAttribute('href', absolute(link.getAttribute('href'))));
        each('img[src]', (image) => {
            image.setAttribute('src', absolute(image.getAttribute('src')));
        });
    };

    const language = (pre) => {
        const bearers = [pre.querySelector('code'), pre, pre.parentElement];
        for (const bearer of bearers) {
            const named = /(?:^|\s)(?:language-|lang-|highlight-(?:source-|text-)?|brush:\s*)([\w+#.-]+)/.exec(
                bearer?.getAttribute('class') ?? '',
            );
            if (named) return named[1];
        }
        return '';
    };

    // Every `pre` becomes what the library knows as a block of code: one `code` element with nothing but text.
    const plainCode = () => {
        each('pre br', (line) => line.replaceWith('\n'));
        each('pre', (pre) => {
            const name = language(pre);
            const code = inert.createElement('code');
            code.textContent = pre.textContent;
            if (name) code.className = `language-${name}`;
            pre.replaceChildren(code);
        });
    };

    // A table around other tables, or with a single cell, is layout: its cells follow one another.
    // Cells of the others are one line each, so what Markdown has only as blocks becomes its inline likeness;
    // the plugin would leave the whole table as HTML.
    const flattenTables = () => {
        for (const table of [...root.querySelectorAll('table')].reverse()) {
            const own = (element) => element.closest('table') === table;
            const layout = table.querySelector('table, [data-was-table]') || table.querySelectorAll('td, th').length <= 1;
            if (layout) {
                const parts = [...table.querySelectorAll('caption, thead, tbody, tfoot, tr, td, th')].filter(own);
                parts.forEach((part) => rename(part, 'div'));
                rename(table, 'div').setAttribute('data-was-table', '');
                continue;
            }
            table.querySelectorAll('h1, h2, h3, h4, h5, h6').forEach((heading) => rename(rename(heading, 'div'), 'strong'));
            table.querySelectorAll('ul, ol, blockquote').forEach((block) => rename(block, 'div'));
            table.querySelectorAll('hr').forEach((line) => line.remove());
            table.querySelectorAll('pre').forEach((pre) => {
                const lines = pre.textContent.trimEnd().split('\n');
                const codes = lines.map((line) => Object.assign(inert.createElement('code'), { textContent: line }));
                pre.replaceWith(...codes.flatMap((code, index) => (index ? [inert.createElement('br'), code] : [code])));
            });
        }
    };

    // Counted once: to ask every item for its place would take the square of a list's length.
    const numberItems = () => {
        each('ol', (list) => {
            let number = Number.parseInt(list.getAttribute('start') ?? '1', 10) || 0;
            for (const item of list.children) item.dataset.number = number++;
        });
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
            const marker = item.dataset.number ? `${item.dataset.number}. ` : '- ';
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

    // An image inside its own address would be most of the output, and no text.
    service.addRule('embeddedImage', {
        filter: (element) => element.nodeName === 'IMG' && /^data:/i.test(element.getAttribute('src') ?? ''),
        replacement: (_, image) => `![${service.escape(image.alt)}](<Base64-Image-Removed>)`,
    });

    removeWhatIsNotText();
    completeAddresses();
    plainCode();
    flattenTables();
    numberItems();
    return service.turndown(root);
})()
