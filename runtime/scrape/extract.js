// Makes the formats of a scrape. Runs in the page, in an isolated world: the page's scripts cannot
// access it, and their changes to built-in prototypes do not affect it. It only reads the page.
//
// The preceding sources define, in this order: `TurndownService` and `turndownPluginGfm`; from
// ../agent-browser `dom`, `addressesOf` (addresses.js), `tree`, `copyTree` (copy.js),
// `flattenTables` (tables.js) and `toMarkdown` (markdown.js); from this directory `selectContent`
// (main_content.js), `writeHtml` (html.js) and `readMetadata` (metadata.js).
//
// Its value is a function that takes `{ formats, onlyMainContent, includeTags, excludeTags, base }`.
// It returns an object with the formats that are asked for among `markdown`, `html`, `rawHtml`,
// `links` and `images`, with `metadata`, and with `warning` if an option had no effect.
(() => (options) => {
    const { page } = dom;

    /** Returns the address that relative ones refer to. `options.base` is the address of the page. */
    const baseOf = () => {
        const element = dom.querySelector(page.documentElement, 'base[href]');
        if (!options.base) return page.baseURI;
        try {
            return new URL(element ? dom.getAttribute(element, 'href') : '', options.base).href;
        } catch {
            return options.base;
        }
    };

    /** Languages of files that the browser shows as plain text. */
    const FILES = {
        'application/json': 'json',
        'text/json': 'json',
        'text/css': 'css',
        'text/javascript': 'js',
        'application/javascript': 'js',
        'application/x-javascript': 'js',
    };

    const fence = (text, language) => {
        const longest = (text.match(/^`{3,}/gm) ?? []).reduce((most, { length }) => Math.max(most, length), 2);
        const mark = '`'.repeat(longest + 1);
        return `${mark}${language}\n${text.replace(/\n+$/, '')}\n${mark}`;
    };

    /** Returns the Markdown of a file that is not a page: text as it is, and data as a code block. */
    const fileMarkdown = () => {
        const type = page.contentType;
        if (type === 'text/html' || type === 'application/xhtml+xml' || type.startsWith('image/')) return null;
        if (type.endsWith('/xml') || type.endsWith('+xml')) {
            const viewed = dom.querySelector(page.documentElement, '#webkit-xml-viewer-source-xml');
            const source = viewed && dom.localName(page.documentElement) === 'html' ? viewed : null;
            const writer = new XMLSerializer();
            const text = source
                ? [...source.childNodes].map((node) => writer.serializeToString(node)).join('')
                : writer.serializeToString(page.documentElement);
            return fence(text.trim(), 'xml');
        }
        const pre = dom.querySelector(page.documentElement, 'body > pre');
        const text = dom.textContent(pre ?? page.documentElement);
        const language = type.endsWith('+json') ? 'json' : FILES[type];
        if (language) return fence(text, language);
        return text.trim();
    };

    const isWanted = (format) => options.formats.includes(format);

    // A script can remove everything.
    if (!page.documentElement) {
        const nothing = { markdown: '', html: '', rawHtml: '', links: [], images: [] };
        const wanted = Object.entries(nothing).filter(([format]) => isWanted(format));
        return { ...Object.fromEntries(wanted), metadata: {} };
    }

    const addresses = addressesOf(baseOf());
    const content = selectContent(options);

    /** Calls `visit` for each shown element. */
    const forEachShown = (visit) => {
        let depth = 0;
        const walk = (shown) => {
            const element = content.show(shown);
            if (!element) return;
            visit(element, dom.localName(element));
            if (++depth <= 600) walkChildren(element);
            depth--;
        };
        const walkChildren = (element) =>
            dom.forEachChild(element, (child) => {
                if (dom.nodeType(child) === Node.ELEMENT_NODE) walk(child);
            });
        content.sources.forEach(walk);
    };

    const listLinks = () => {
        const links = new Set();
        forEachShown((element, name) => {
            if (name !== 'a' && name !== 'area') return;
            const address = dom.getAttribute(element, 'href')?.trim();
            if (!address || address.startsWith('#')) return;
            const absolute = addresses.absolute(address);
            if (/^(?:https?|mailto|tel|ftp):/i.test(absolute)) links.add(absolute);
        });
        return [...links];
    };

    const listImages = () => {
        const images = new Set();
        const add = (address) => {
            if (address && /^https?:/i.test(address)) images.add(address);
        };
        forEachShown((element, name) => {
            if (name === 'img') add(addresses.image(element));
            const poster = name === 'video' && dom.getAttribute(element, 'poster');
            if (poster) add(addresses.absolute(poster));
            const style = dom.getAttribute(element, 'style');
            const drawn = style && /background(?:-image)?\s*:[^;]*url\(\s*(["']?)(.*?)\1\s*\)/i.exec(style);
            if (drawn) add(addresses.absolute(drawn[2]));
        });
        return [...images];
    };

    const result = { metadata: readMetadata(addresses) };
    if (isWanted('markdown')) {
        result.markdown = fileMarkdown() ?? toMarkdown(copyTree(content.sources, addresses, content.show));
    }
    if (isWanted('html')) result.html = writeHtml(content, addresses);
    if (isWanted('links')) result.links = listLinks();
    if (isWanted('images')) result.images = listImages();
    if (isWanted('rawHtml')) {
        const root = page.documentElement;
        result.rawHtml = Object.getOwnPropertyDescriptor(Element.prototype, 'outerHTML').get.call(root);
    }
    if (content.warnings.length > 0) result.warning = content.warnings.join(' ');
    return result;
})()
