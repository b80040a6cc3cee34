// Access to the DOM that a page cannot redirect. Runs in the page, in an isolated world.
//
// The page's scripts have other built-in objects, but its elements can still hide properties: a
// field named `firstChild` replaces that property of its form, and an image named `title` replaces
// that of the document, in every world. These functions call the getters of the prototypes.
//
// Its value is an object of functions that take a node first, and `page`, the document's properties.
(() => {
    const getter = (prototype, name) => {
        const { get } = Object.getOwnPropertyDescriptor(prototype, name);
        return (node) => get.call(node);
    };
    const method = (prototype, name) => {
        const called = prototype[name];
        return (node, ...values) => called.apply(node, values);
    };

    const nodeType = getter(Node.prototype, 'nodeType');
    const firstChild = getter(Node.prototype, 'firstChild');
    const nextSibling = getter(Node.prototype, 'nextSibling');
    const localName = getter(Element.prototype, 'localName');
    const shadowRoot = getter(Element.prototype, 'shadowRoot');
    const assignedNodes = method(HTMLSlotElement.prototype, 'assignedNodes');
    const { getAttribute } = Element.prototype;

    /**
     * Calls `visit` for each child that the page shows: a shadow tree replaces the children of its
     * host, and its slots show them.
     */
    const forEachChild = (node, visit) => {
        let shown = node;
        if (nodeType(node) === Node.ELEMENT_NODE) {
            shown = shadowRoot(node) ?? node;
            if (node instanceof HTMLSlotElement) {
                const assigned = assignedNodes(node);
                if (assigned.length > 0) {
                    for (const child of assigned) visit(child);
                    return;
                }
            }
        }
        for (let child = firstChild(shown); child; child = nextSibling(child)) visit(child);
    };

    const page = {};
    for (const name of ['documentElement', 'body', 'title', 'contentType', 'implementation', 'URL']) {
        Object.defineProperty(page, name, { get: () => getter(Document.prototype, name)(document) });
    }
    Object.defineProperty(page, 'baseURI', { get: () => getter(Node.prototype, 'baseURI')(document) });

    return {
        page,
        nodeType,
        firstChild,
        nextSibling,
        previousSibling: getter(Node.prototype, 'previousSibling'),
        parentElement: getter(Node.prototype, 'parentElement'),
        textContent: getter(Node.prototype, 'textContent'),
        localName,
        attributes: getter(Element.prototype, 'attributes'),
        className: (element) => getAttribute.call(element, 'class') ?? '',
        getAttribute: (element, name) => getAttribute.call(element, name),
        hasAttributes: method(Element.prototype, 'hasAttributes'),
        hasAttribute: method(Element.prototype, 'hasAttribute'),
        matches: method(Element.prototype, 'matches'),
        closest: method(Element.prototype, 'closest'),
        querySelector: method(Element.prototype, 'querySelector'),
        querySelectorAll: method(Element.prototype, 'querySelectorAll'),
        forEachChild,
    };
})()
