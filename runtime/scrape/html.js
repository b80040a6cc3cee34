// Writes the HTML of the selected part of a page. Runs in the page, in an isolated world, after
// `dom`.
//
// Its value is a function that takes the selection of main_content.js and the addresses of the page.
(() => ({ sources, show }, addresses) => {
    const { forEachChild, localName, nodeType } = dom;

    /** The depth below which the result has only text. Only scripts nest elements deeper. */
    const MAX_DEPTH = 600;
    const LEFT_OUT = new Set(['script', 'style', 'noscript', 'meta', 'head', 'template', 'link', 'base']);
    const VOID = new Set(['area', 'base', 'br', 'col', 'embed', 'hr', 'img', 'input', 'link', 'meta', 'param', 'source', 'track', 'wbr']);
    const ADDRESSES = new Set(['href', 'src', 'poster', 'action', 'data', 'cite', 'xlink:href', 'formaction']);
    /** Elements whose text a parser does not decode. */
    const RAW = new Set(['iframe', 'noembed', 'noframes', 'plaintext', 'xmp']);

    const MARKS = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\u00A0': '&nbsp;' };
    const escapeText = (text) => (/[&<>\u00A0]/.test(text) ? text.replace(/[&<>\u00A0]/g, (mark) => MARKS[mark]) : text);
    const escapeValue = (text) => (/[&<>"\u00A0]/.test(text) ? text.replace(/[&<>"\u00A0]/g, (mark) => MARKS[mark]) : text);

    const parts = [];
    let depth = 0;

    const writeAttributes = (element) => {
        const isImage = localName(element) === 'img';
        const image = isImage ? addresses.image(element) : '';
        let hasSource = false;
        for (const { name, value } of dom.attributes(element)) {
            let written = value;
            if (isImage && name === 'src') {
                written = image;
                hasSource = true;
            } else if (name === 'srcset') {
                written = addresses.set(value);
            } else if (ADDRESSES.has(name) && value && !/^(?:#|data:|javascript:|blob:)/i.test(value.trim())) {
                written = addresses.absolute(value);
            } else if (name === 'href' && value.startsWith('#') && localName(element) === 'a') {
                written = addresses.absolute(value);
            }
            parts.push(` ${name}="${escapeValue(written)}"`);
        }
        if (image && !hasSource) parts.push(` src="${escapeValue(image)}"`);
    };

    const write = (shown) => {
        const element = show(shown);
        const name = element && localName(element);
        if (!element || LEFT_OUT.has(name)) return;
        if (name === 'slot') return writeChildren(element);
        parts.push(`<${name}`);
        if (dom.hasAttributes(element)) writeAttributes(element);
        parts.push('>');
        if (VOID.has(name)) return;
        if (++depth > MAX_DEPTH) parts.push(escapeText(dom.textContent(element)));
        else if (RAW.has(name)) parts.push(dom.textContent(element));
        else writeChildren(element);
        depth--;
        parts.push(`</${name}>`);
    };

    const writeChildren = (element) => {
        // A parser removes the first line break in these.
        let isFirst = localName(element) === 'pre' || localName(element) === 'textarea';
        forEachChild(element, (node) => {
            const type = nodeType(node);
            if (type === Node.TEXT_NODE || type === Node.CDATA_SECTION_NODE) {
                if (isFirst && node.data.startsWith('\n')) parts.push('\n');
                parts.push(escapeText(node.data));
            } else if (type === Node.ELEMENT_NODE) {
                write(node);
            }
            isFirst = false;
        });
    };

    const root = dom.page.documentElement;
    parts.push('<html');
    if (localName(root) === 'html' && dom.hasAttributes(root)) writeAttributes(root);
    parts.push('>');
    if (sources.length === 1 && localName(sources[0]) === 'body') {
        write(sources[0]);
    } else {
        parts.push('<body>');
        for (const source of sources) {
            if (localName(source) === 'html') writeChildren(source);
            else write(source);
        }
        parts.push('</body>');
    }
    parts.push('</html>');
    return parts.join('');
})()
