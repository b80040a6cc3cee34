// A tree of plain objects that the conversion uses instead of the DOM. It has the part of the DOM's
// interface that the library, its plugin and the rules in page.js use. The library stores four
// properties on every node and reads the text of every element. On DOM nodes, this and garbage
// collection took most of the time.
//
// Its value is `{ TreeText, TreeElement }`. Like page.js, it runs in the page, in an isolated
// world.
(() => {
    const NO_ATTRIBUTES = Object.freeze({ __proto__: null });
    const NO_STYLE = Object.freeze({ textAlign: '' });
    const NO_NAMES = new Set();
    const NO_WHITESPACE = Object.freeze({ leading: '', trailing: '' });

    // Computed on the first read, because few nodes need them. The library reads them after its
    // last change to the tree.
    const namesBelow = new WeakMap();
    const rowsOf = new WeakMap();

    /**
     * The base of text and elements. The library sets the properties that are undefined here. A
     * large page has many nodes, which all stay until the end, so the size of a node determines the
     * time for garbage collection.
     */
    class TreeNode {
        parentNode = null;
        previousSibling = null;
        nextSibling = null;
        isBlock = undefined;
        isCode = undefined;
        isBlank = undefined;
        #whitespace = NO_WHITESPACE;

        get flankingWhitespace() {
            return this.#whitespace;
        }

        set flankingWhitespace(whitespace) {
            if (whitespace.leading || whitespace.trailing) this.#whitespace = whitespace;
        }

        get nextElementSibling() {
            let node = this.nextSibling;
            while (node && node.nodeType !== Node.ELEMENT_NODE) node = node.nextSibling;
            return node;
        }

        /** Replaces this node with other nodes, in an array because a call has few arguments. */
        replaceWith(nodes = []) {
            const { parentNode, nextSibling } = this;
            parentNode.removeChild(this);
            for (const node of nodes) parentNode.insertBefore(node, nextSibling);
        }
    }

    /** Text, or a CDATA section. */
    class TreeText extends TreeNode {
        constructor(data) {
            super();
            this.data = data;
        }

        get nodeValue() {
            return this.data;
        }

        get textContent() {
            return this.data;
        }
    }

    class TreeElement extends TreeNode {
        firstChild = null;
        lastChild = null;
        attributes = NO_ATTRIBUTES;
        #children = null;
        #text = null;

        constructor(nodeName, text = '') {
            super();
            this.nodeName = nodeName;
            if (text) this.append(new TreeText(text));
        }

        append(node) {
            this.insertBefore(node, null);
        }

        insertBefore(node, next) {
            const previous = next ? next.previousSibling : this.lastChild;
            node.parentNode = this;
            node.previousSibling = previous;
            node.nextSibling = next;
            if (previous) previous.nextSibling = node;
            else this.firstChild = node;
            if (next) next.previousSibling = node;
            else this.lastChild = node;
        }

        removeChild(node) {
            const { previousSibling, nextSibling } = node;
            if (previousSibling) previousSibling.nextSibling = nextSibling;
            else this.firstChild = nextSibling;
            if (nextSibling) nextSibling.previousSibling = previousSibling;
            else this.lastChild = previousSibling;
            node.parentNode = node.previousSibling = node.nextSibling = null;
        }

        /** Changes the name of the element and removes its attributes. Its children stay. */
        rename(nodeName) {
            this.nodeName = nodeName;
            this.attributes = NO_ATTRIBUTES;
            this.style = NO_STYLE;
            this.type = undefined;
        }

        /**
         * Appends all elements below this one to `found`, in document order. Does not descend into
         * elements with the name `skipped`.
         */
        collectElements(found = [], skipped = '') {
            for (let node = this.firstChild; node; node = node.nextSibling) {
                if (node.nodeType !== Node.ELEMENT_NODE) continue;
                found.push(node);
                if (node.nodeName !== skipped) node.collectElements(found, skipped);
            }
            return found;
        }

        getAttribute(name) {
            return this.attributes[name] ?? null;
        }

        get childNodes() {
            if (!this.#children) {
                let count = 0;
                for (let node = this.firstChild; node; node = node.nextSibling) count++;
                // An array that grows would reserve more memory than it needs.
                const children = new Array(count);
                for (let node = this.lastChild; node; node = node.previousSibling) children[--count] = node;
                this.#children = children;
            }
            return this.#children;
        }

        get lastElementChild() {
            return this.childNodes.findLast((node) => node.nodeType === Node.ELEMENT_NODE) ?? null;
        }

        get textContent() {
            if (this.#text === null) {
                let text = '';
                for (let node = this.firstChild; node; node = node.nextSibling) text += node.textContent;
                this.#text = text;
            }
            return this.#text;
        }

        /** The names of all elements below this one. */
        get names() {
            let names = namesBelow.get(this);
            if (!names) {
                const elements = this.childNodes.filter((node) => node.nodeType === Node.ELEMENT_NODE);
                names = elements.length > 0 ? new Set() : NO_NAMES;
                for (const element of elements) {
                    names.add(element.nodeName);
                    for (const name of element.names) names.add(name);
                }
                namesBelow.set(this, names);
            }
            return names;
        }

        /** Returns only a length, because the library only tests whether there are any elements. */
        getElementsByTagName(name) {
            return { length: this.names.has(name) ? 1 : 0 };
        }

        /** Returns the first element below with this name. */
        querySelector(name) {
            for (const node of this.childNodes) {
                if (node.nodeType !== Node.ELEMENT_NODE) continue;
                const found = node.nodeName === name.toUpperCase() ? node : node.querySelector(name);
                if (found) return found;
            }
            return null;
        }

        /** The rows of a table: first those of its heads, last those of its feet. */
        get rows() {
            if (this.nodeName !== 'TABLE') return undefined;
            let rows = rowsOf.get(this);
            if (!rows) {
                const parts = { THEAD: [], TBODY: [], TFOOT: [] };
                for (const node of this.childNodes) {
                    if (node.nodeName === 'TR') parts.TBODY.push(node);
                    const part = parts[node.nodeName];
                    if (!part) continue;
                    for (const row of node.childNodes) if (row.nodeName === 'TR') part.push(row);
                }
                rows = [...parts.THEAD, ...parts.TBODY, ...parts.TFOOT];
                rowsOf.set(this, rows);
            }
            return rows;
        }

        /**
         * Returns this element. The library changes a copy of its input, and this tree already is a
         * copy.
         */
        cloneNode() {
            return this;
        }
    }

    // Defaults on the prototypes, so that most nodes do not store them.
    Object.assign(TreeText.prototype, { nodeType: Node.TEXT_NODE, nodeName: '#text', firstChild: null });
    Object.assign(TreeElement.prototype, {
        nodeType: Node.ELEMENT_NODE,
        style: NO_STYLE,
        /** The type of a form control. */
        type: undefined,
        checked: false,
        /** The number of an item in an ordered list. */
        number: undefined,
    });

    return { TreeText, TreeElement };
})()
