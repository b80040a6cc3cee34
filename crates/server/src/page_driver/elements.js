// Finds elements for the actions of a scrape. Runs in an isolated world of the page. Its value is a
// function; `task.kind` says what it returns.
async (task) => {
    /** Returns the elements that match, or those in open shadow trees if there are none. */
    const find = (selector) => {
        const found = [...document.querySelectorAll(selector)];
        if (found.length > 0) return found;
        const roots = [document];
        for (const root of roots) {
            for (const element of root.querySelectorAll('*')) {
                if (!element.shadowRoot) continue;
                roots.push(element.shadowRoot);
                found.push(...element.shadowRoot.querySelectorAll(selector));
            }
        }
        return found;
    };

    const isVisible = (element) => {
        const { width, height } = element.getBoundingClientRect();
        return width > 0 && height > 0 && element.checkVisibility({ visibilityProperty: true });
    };

    /** Resolves when the page has been drawn, or after 50 ms if it is not drawn. */
    const drawn = () =>
        new Promise((resolve) => {
            requestAnimationFrame(resolve);
            setTimeout(resolve, 50);
        });

    /** Returns true if a click at the point reaches the element. */
    const isReached = (element, x, y) => {
        let hit = document.elementFromPoint(x, y);
        while (hit?.shadowRoot) {
            const inner = hit.shadowRoot.elementFromPoint(x, y);
            if (!inner || inner === hit) break;
            hit = inner;
        }
        for (let above = hit; above; above = above.parentElement ?? above.getRootNode().host) {
            if (above === element || above.control === element) return true;
        }
        return false;
    };

    const end = performance.now() + task.milliseconds;
    for (;;) {
        const all = find(task.selector);
        if (task.kind === 'count') {
            if (all.some(isVisible)) return { count: all.length };
        } else {
            const element = task.index === undefined ? all.find(isVisible) : all[task.index];
            if (element && isVisible(element)) {
                if (task.kind === 'scroll') {
                    element.scrollBy({ top: task.by * innerHeight, behavior: 'instant' });
                    return {};
                }
                element.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
                await drawn();
                await drawn();
                const box = element.getBoundingClientRect();
                const x = box.left + box.width / 2;
                const y = box.top + box.height / 2;
                if (isReached(element, x, y)) return { x, y };
                // Something covers it, so the event goes to the element itself.
                element.click();
                return {};
            }
        }
        if (performance.now() >= end) return null;
        await drawn();
    }
}
