// Addresses in a page. Runs in the page, in an isolated world, after dom.js as `dom`.
//
// Its value is a function that takes a base address and returns `{ absolute, image, set }`.
(() => (base) => {
    /** Attributes in which scripts that load images late keep the address, most common first. */
    const LATE_SOURCES = ['data-src', 'data-lazy-src', 'data-original', 'data-lazy', 'data-url'];
    const LATE_SETS = ['data-srcset', 'data-lazy-srcset'];

    const known = new Map();

    const resolve = (address) => {
        try {
            return new URL(address, base).href;
        } catch {
            return address.trim().replace(/\s/g, '%20');
        }
    };

    /**
     * Returns an absolute address. Caches it, because pages repeat addresses and URL objects are
     * slow.
     */
    const absolute = (address) => {
        let resolved = known.get(address);
        if (resolved === undefined) known.set(address, (resolved = resolve(address)));
        return resolved;
    };

    /**
     * Returns the largest candidate of a `srcset`. Its `size` is the width or density, and 1 without
     * either.
     */
    const largest = (set) => {
        let best = null;
        // An address may contain commas, so only a comma with white space before or after it, or
        // after a size, ends a candidate.
        for (const [, address, number = '1'] of set.matchAll(/([^\s,]\S*[^\s,]|[^\s,])(?:\s+([\d.]+)[wxh])?[^,]*(?:,|$)/g)) {
            const size = Number(number) || 1;
            if (!best || size > best.size) best = { address, size };
        }
        return best;
    };

    const isPlaceholder = (address) => !address || /^(?:data:|about:|blob:)/i.test(address.trim());

    /** Returns a `srcset` with absolute addresses. */
    const set = (text) =>
        text.replace(
            /([^\s,]\S*[^\s,]|[^\s,])([^,]*)/g,
            (_, address, size) => (isPlaceholder(address) ? address : absolute(address)) + size,
        );

    /** Returns the best address of an image's picture element. */
    const pictureSource = (image) => {
        const picture = dom.parentElement(image);
        if (!picture || dom.localName(picture) !== 'picture') return null;
        for (const source of dom.querySelectorAll(picture, 'source')) {
            const set = dom.getAttribute(source, 'srcset') || dom.getAttribute(source, 'data-srcset');
            const best = set && largest(set);
            if (best && !isPlaceholder(best.address)) return best.address;
        }
        return null;
    };

    /**
     * Returns the absolute address of an image: the largest of its `srcset`, or the one that a
     * script would load later. An empty string if it has none.
     */
    const image = (element) => {
        const source = dom.getAttribute(element, 'src') ?? '';
        for (const name of ['srcset', ...LATE_SETS]) {
            const best = largest(dom.getAttribute(element, name) ?? '');
            if (!best || isPlaceholder(best.address)) continue;
            // Densities are relative to `src`, which has the density 1.
            if (best.size > 1 || isPlaceholder(source) || name !== 'srcset') return absolute(best.address);
        }
        if (isPlaceholder(source)) {
            for (const name of LATE_SOURCES) {
                const late = dom.getAttribute(element, name);
                if (!isPlaceholder(late)) return absolute(late);
            }
            const pictured = pictureSource(element);
            if (pictured) return absolute(pictured);
        }
        return source && absolute(source);
    };

    return { absolute, image, set };
})()
