// Prepares the tables of a copy for the library's plugin. Runs in the page, in an isolated world,
// after `tree`. Its value is a function that takes the tables, outer ones first.
(() => (tables) => {
    const { TreeElement } = tree;

    const PARTS = new Set(['CAPTION', 'THEAD', 'TBODY', 'TFOOT', 'TR', 'TD', 'TH', 'COLGROUP', 'COL']);
    /** Blocks that show that a table without header cells only arranges the page. */
    const LAYOUT_BLOCKS = new Set(['H1', 'H2', 'H3', 'H4', 'H5', 'H6', 'PRE', 'BLOCKQUOTE', 'ARTICLE', 'SECTION', 'HR', 'FORM']);

    const childElements = (element) => {
        const found = [];
        for (let node = element.firstChild; node; node = node.nextSibling) {
            if (node.nodeType === Node.ELEMENT_NODE) found.push(node);
        }
        return found;
    };

    const isCell = ({ nodeName }) => nodeName === 'TD' || nodeName === 'TH';

    /** Returns true if a cell or a row shows anything. */
    const hasContent = (element) => {
        for (let node = element.firstChild; node; node = node.nextSibling) {
            const isShown =
                node.nodeType === Node.ELEMENT_NODE
                    ? node.nodeName === 'IMG' || node.nodeName === 'INPUT' || hasContent(node)
                    : /\S/.test(node.data);
            if (isShown) return true;
        }
        return false;
    };

    /** Dissolves a table into its cells. */
    const dissolve = (table) => {
        for (const element of table.collectElements([], 'TABLE')) {
            if (PARTS.has(element.nodeName)) element.rename('DIV');
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
            } else if (name === 'UL' || name === 'OL' || name === 'BLOCKQUOTE' || name === 'DL') {
                element.rename('DIV');
            } else if (name === 'HR') {
                element.replaceWith();
            } else if (name === 'PRE') {
                const lines = element.firstChild ? element.firstChild.textContent.trimEnd().split('\n') : [];
                const codes = lines.map((line) => new TreeElement('CODE', line));
                element.replaceWith(codes.flatMap((code, index) => (index ? [new TreeElement('BR'), code] : [code])));
            }
        }
    };

    const listRows = (table) => {
        const parts = { THEAD: [], TBODY: [], TFOOT: [] };
        for (const child of childElements(table)) {
            if (child.nodeName === 'TR') parts.TBODY.push(child);
            const part = parts[child.nodeName];
            if (!part) continue;
            for (const row of childElements(child)) if (row.nodeName === 'TR') part.push(row);
        }
        return [...parts.THEAD, ...parts.TBODY, ...parts.TFOOT];
    };

    const span = (cell, name) => Math.max(1, Number.parseInt(cell.getAttribute(name) ?? '1', 10) || 1);

    /**
     * Returns the cells of all rows, with an empty cell at each further position of a cell that
     * spans several columns or rows. The number of these is limited, because a few attributes can
     * ask for millions.
     */
    const expandSpans = (rows) => {
        const cells = rows.map((row) => childElements(row).filter(isCell));
        let budget = 1000 + 4 * cells.reduce((sum, row) => sum + row.length, 0);
        const filler = (like) => {
            budget--;
            return new TreeElement(like.nodeName);
        };
        let spanning = [];
        return cells.map((row) => {
            const expanded = [];
            const next = [];
            const skipSpanned = () => {
                for (let above; (above = spanning[expanded.length]); ) {
                    if (above.rows > 1) next[expanded.length] = { rows: above.rows - 1, cell: above.cell };
                    expanded.push(filler(above.cell));
                }
            };
            for (const cell of row) {
                if (budget > 0) skipSpanned();
                const columns = Math.min(span(cell, 'colspan'), budget);
                const depth = span(cell, 'rowspan');
                for (let at = 0; at < Math.max(columns, 1); at++) {
                    if (depth > 1 && budget > 0) next[expanded.length] = { rows: depth - 1, cell };
                    expanded.push(at === 0 ? cell : filler(cell));
                }
                delete cell.attributes.colspan;
                delete cell.attributes.rowspan;
            }
            if (budget > 0) skipSpanned();
            spanning = next;
            return expanded;
        });
    };

    const empty = (element) => {
        while (element.firstChild) element.removeChild(element.firstChild);
    };

    /** Removes columns that are empty in all rows, such as those that only make space. */
    const dropEmptyColumns = (rows) => {
        const used = [];
        for (const row of rows) row.forEach((cell, at) => (used[at] ||= hasContent(cell)));
        return rows.map((row) => row.filter((_, at) => used[at]));
    };

    /**
     * Builds a table again with at most one header row, the only kind that Markdown has. All rows
     * have the same number of cells.
     */
    const rebuild = (table) => {
        const rows = listRows(table);
        const inHead = (row) => row.parentNode.nodeName === 'THEAD';
        const first = rows.findIndex(hasContent);
        const headed = first >= 0 && (inHead(rows[first]) || childElements(rows[first]).every(({ nodeName }) => nodeName === 'TH'));
        let cells = dropEmptyColumns(expandSpans(rows));
        const kept = cells.filter((row) => row.some(hasContent));
        const columns = kept.reduce((most, row) => Math.max(most, row.length), 0);
        for (const caption of childElements(table).filter(({ nodeName }) => nodeName === 'CAPTION')) {
            table.removeChild(caption);
            caption.rename('P');
            table.parentNode.insertBefore(caption, table);
        }
        empty(table);
        const parts = { THEAD: new TreeElement('THEAD'), TBODY: new TreeElement('TBODY') };
        kept.forEach((row, at) => {
            const line = new TreeElement('TR');
            for (const cell of row) line.append(cell);
            if (at === 0) for (let missing = columns - row.length; missing > 0; missing--) line.append(new TreeElement(row[0].nodeName));
            parts[at === 0 && headed ? 'THEAD' : 'TBODY'].append(line);
        });
        if (parts.THEAD.firstChild) table.append(parts.THEAD);
        table.append(parts.TBODY);
        return kept.length * columns;
    };

    const isLayout = (table, elements, cells, dissolved) => {
        const role = table.getAttribute('role');
        if (cells.length <= 1 || role === 'presentation' || role === 'none') return true;
        if (elements.some((element) => element.nodeName === 'TABLE' || dissolved.has(element))) return true;
        return (
            !cells.some(({ nodeName }) => nodeName === 'TH') &&
            elements.some(({ nodeName }) => LAYOUT_BLOCKS.has(nodeName))
        );
    };

    const dissolved = new Set();
    for (const table of tables.reverse()) {
        const elements = table.collectElements();
        if (isLayout(table, elements, elements.filter(isCell), dissolved) || rebuild(table) <= 1) {
            dissolved.add(table);
            dissolve(table);
        } else {
            flattenCells(table.collectElements());
        }
    }
})()
