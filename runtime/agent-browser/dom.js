// Access to the DOM that a page cannot redirect. Runs in the page, in an isolated world.
//
// The page's scripts have other built-in objects, but two of its objects can still hide properties,
// in every world: a field named `firstChild` replaces that property of its form, and an image named
// `title` replaces that of the document. For these, the functions call the getters of prototypes,
// which takes ten times as long.
//
// Its value is an object of functions that take a node first, and `page`, the document's properties.
(() => {
    const safely = (prototype, name) => Object.getOwnPropertyDescriptor(prototype, name).get;
    /** Returns true for a form. A field can hide its name too, and is an object. */
    const isForm = (node) => {
        const name = node.localName;
        return name === 'form' || typeof name === 'object';
    };

    const safe = {
        nodeType: safely(Node.prototype, 'nodeType'),
        firstChild: safely(Node.prototype, 'firstChild'),
        nextSibling: safely(Node.prototype, 'nextSibling'),
        previousSibling: safely(Node.prototype, 'previousSibling'),
        parentElement: safely(Node.prototype, 'parentElement'),
        textContent: safely(Node.prototype, 'textContent'),
        localName: safely(Element.prototype, 'localName'),
        attributes: safely(Element.prototype, 'attributes'),
    };
    const methods = Element.prototype;

    // One function per property, because V8 optimizes a property access but not a computed one.
    const nodeType = (node) => (isForm(node) ? safe.nodeType.call(node) : node.nodeType);
    const firstChild = (node) => (isForm(node) ? safe.firstChild.call(node) : node.firstChild);
    const nextSibling = (node) => (isForm(node) ? safe.nextSibling.call(node) : node.nextSibling);
    const previousSibling = (node) => (isForm(node) ? safe.previousSibling.call(node) : node.previousSibling);
    const parentElement = (node) => (isForm(node) ? safe.parentElement.call(node) : node.parentElement);
    const textContent = (node) => (isForm(node) ? safe.textContent.call(node) : node.textContent);
    const localName = (element) => (isForm(element) ? 'form' : element.localName);
    const attributes = (element) => (isForm(element) ? safe.attributes.call(element) : element.attributes);
    const getAttribute = (element, name) =>
        isForm(element) ? methods.getAttribute.call(element, name) : element.getAttribute(name);
    const hasAttributes = (element) => (isForm(element) ? methods.hasAttributes.call(element) : element.hasAttributes());
    const matches = (element, selector) =>
        isForm(element) ? methods.matches.call(element, selector) : element.matches(selector);

    /**
     * Calls `visit` for each child that the page shows: a shadow tree replaces the children of its
     * host, and its slots show them.
     */
    const forEachChild = (node, visit) => {
        let shown = node;
        if (!isForm(node)) {
            shown = node.shadowRoot ?? node;
            if (node.localName === 'slot' && node.assignedNodes) {
                const assigned = node.assignedNodes();
                if (assigned.length > 0) {
                    for (const child of assigned) visit(child);
                    return;
                }
            }
        }
        for (let child = firstChild(shown); child; child = nextSibling(child)) visit(child);
    };

    const page = {};
    const define = (prototype, name) => {
        const get = safely(prototype, name);
        Object.defineProperty(page, name, { get: () => get.call(document) });
    };
    for (const name of ['documentElement', 'body', 'title', 'contentType']) define(Document.prototype, name);
    define(Node.prototype, 'baseURI');

    return {
        page,
        nodeType,
        nextSibling,
        previousSibling,
        parentElement,
        textContent,
        localName,
        attributes,
        getAttribute,
        hasAttributes,
        matches,
        className: (element) => getAttribute(element, 'class') ?? '',
        closest: (element, selector) => methods.closest.call(element, selector),
        querySelector: (element, selector) => methods.querySelector.call(element, selector),
        querySelectorAll: (element, selector) => methods.querySelectorAll.call(element, selector),
        forEachChild,
    };
})()
