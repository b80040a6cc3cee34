// Selects the part of a page that a scrape converts. Runs in the page, in an isolated world, after
// `dom`.
//
// Its value is a function that takes `{ onlyMainContent, includeTags, excludeTags }` and returns
// `{ sources, show, warnings }`: the elements to convert, and a function that returns the element
// to convert for an element below them, or null to omit it.
(() => ({ onlyMainContent = true, includeTags = [], excludeTags = [] }) => {
    const { forEachChild, localName, getAttribute, nodeType, matches } = dom;

    /** The depth below which elements are not examined. Only scripts nest them deeper. */
    const MAX_DEPTH = 600;
    const WITHOUT_TEXT = new Set(['script', 'style', 'noscript', 'template', 'head']);
    /** Elements that the names of classes never remove, because there they describe the element itself. */
    const NEVER_BY_NAME = new Set([
        ...['html', 'body', 'main', 'tr', 'td', 'th', 'thead', 'tbody', 'tfoot', 'pre', 'code', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6'],
        ...['blockquote', 'figure', 'dt', 'dd', 'math', 'svg'],
    ]);
    /** Names of parts of a page that are never content. */
    const CLUTTER = new Set([
        ...['navbar', 'sidebar', 'modal', 'popup', 'ad', 'ads', 'advert', 'adverts', 'advertisement', 'advertisements', 'adsbygoogle'],
        ...['lang-selector', 'language-selector', 'social', 'social-media', 'social-links', 'social-share', 'social-icons'],
        ...['navigation', 'nav', 'breadcrumb', 'breadcrumbs', 'share', 'share-buttons', 'share-links', 'sharing', 'cookie'],
        ...['site-header', 'site-footer', 'page-footer', 'global-header', 'global-footer', 'main-nav', 'site-nav', 'main-menu'],
        ...['nav-menu', 'topbar', 'top-bar', 'left-sidebar', 'right-sidebar', 'sidebar-left', 'sidebar-right', 'navbox'],
        ...['skip-link', 'skip-to-content', 'skip-nav', 'skiplink', 'mw-jump-link', 'mw-editsection', 'noprint', 'back-to-top'],
        ...['toc', 'table-of-contents', 'on-this-page', 'pagination', 'pager', 'newsletter', 'newsletter-signup', 'sponsored'],
        ...['related-posts', 'related-articles', 'related-stories', 'most-read', 'most-popular', 'comment-respond', 'respond'],
        ...['search-form', 'searchform', 'sr-only-focusable', 'onetrust-consent-sdk', 'cybotcookiebotdialog', 'usercentrics-root'],
        ...['didomi-host', 'qc-cmp2-container', 'fc-consent-root', 'cmpbox', 'truste-consent-track', 'cc-window', 'cky-consent-container'],
    ]);
    /** Names that content has too. They remove an element only if it has no main heading. */
    const LAYOUT = new Set(['header', 'footer', 'top', 'bottom', 'side', 'aside', 'overlay', 'language', 'menu', 'widget']);
    const CLUTTER_PATTERN =
        /^(?:(?:cookies?|gdpr|ccpa|consent)[-_]?(?:banner|bar|notice|consent|popup|modal|message|law|wall|overlay|disclaimer|alert|prompt|dialog|manager|box|container)|(?:[a-z]+-)?ad-?(?:slot|unit|container|wrapper|banner|box|block|space|placeholder|label|leaderboard)s?|(?:google|dfp|gpt)[-_]ads?[-_\w]*|sp_message_container_\d+)$/;
    const CLUTTER_TAGS = new Set(['header', 'footer', 'nav', 'aside', 'dialog']);
    const TAG_OF_ROLE = {
        banner: 'header',
        contentinfo: 'footer',
        navigation: 'nav',
        complementary: 'aside',
        dialog: 'dialog',
        alertdialog: 'dialog',
        menubar: 'nav',
        search: 'nav',
    };
    const NOTE = /(?:^|[\s_-])(?:note|tip|hint|info|warning|caution|danger|important|admonition|callout|alert|message|pullquote|pull-quote)(?:$|[\s_-])/i;
    const SECTIONS = new Set(['main', 'article', 'section']);

    const warnings = [];

    /** Joins the valid selectors to one. Names the others in a warning. */
    const join = (selectors, option) => {
        const valid = selectors
            .map((selector) => selector.trim())
            .filter((selector) => {
                if (!selector) return false;
                try {
                    matches(dom.page.documentElement, selector);
                    return true;
                } catch {
                    warnings.push(`${option} contains "${selector}", which is not a CSS selector. It had no effect.`);
                    return false;
                }
            });
        return valid.join(', ');
    };

    const included = join(includeTags, 'includeTags');
    const excluded = join(excludeTags, 'excludeTags');

    const forEachElement = (element, visit) =>
        forEachChild(element, (child) => {
            if (nodeType(child) === Node.ELEMENT_NODE && !WITHOUT_TEXT.has(localName(child))) visit(child);
        });

    /** Lists the elements that `included` selects, except those below others of them. */
    const findIncluded = () => {
        const found = [];
        let depth = 0;
        const search = (element) => {
            if (matches(element, included)) found.push(element);
            else if (++depth <= MAX_DEPTH) forEachElement(element, search);
            depth--;
        };
        search(dom.page.documentElement);
        return found;
    };

    const namesOf = (element) => {
        const names = dom.className(element).toLowerCase().split(/\s+/);
        const id = getAttribute(element, 'id');
        if (id) names.push(id.toLowerCase());
        return names;
    };

    /** Returns the reason to remove an element: `tag`, `name`, `layout`, or nothing. */
    const clutterOf = (element, around) => {
        const name = localName(element);
        const tag = CLUTTER_TAGS.has(name) ? name : TAG_OF_ROLE[getAttribute(element, 'role') ?? ''];
        if (tag && !NEVER_BY_NAME.has(name)) {
            const isOfSection =
                (tag === 'header' && around.section) ||
                (tag === 'footer' && (around.quote || around.article > 1)) ||
                (tag === 'aside' && (getAttribute(element, 'role') === 'note' || NOTE.test(dom.className(element)))) ||
                // An element with this role may also be the whole page.
                (tag !== name && name === 'article');
            if (!isOfSection) return 'tag';
        }
        if (NEVER_BY_NAME.has(name) || !dom.hasAttributes(element)) return '';
        const names = namesOf(element);
        // Line by line, a class such as `top` is about the text.
        const isInline = name === 'span' || name === 'p' || name === 'li' || name === 'a' || name === 'article';
        if (names.some((word) => CLUTTER.has(word) || CLUTTER_PATTERN.test(word))) return 'name';
        return !isInline && !CLUTTER_TAGS.has(name) && names.some((word) => LAYOUT.has(word)) ? 'layout' : '';
    };

    const isMain = (element) =>
        localName(element) === 'main' || getAttribute(element, 'role') === 'main' || getAttribute(element, 'id') === 'main';

    /**
     * Measures an element: how much text and how many images it shows, and whether it contains the
     * main part of the page or a main heading. Appends it to `candidates` if it may be removed.
     */
    const measure = (element, around, candidates) => {
        const measured = { element, size: 0, hasMain: isMain(element), heading: null, clutter: '', end: 0 };
        const name = localName(element);
        if (name === 'img' || name === 'video' || name === 'iframe' || name === 'picture') measured.size = 1;
        if (name === 'h1') measured.heading = element;
        if (around.depth > 0) {
            if (excluded && matches(element, excluded)) return { ...measured, size: 0, hasMain: false, heading: null };
            measured.clutter = clutterOf(element, around);
        }
        if (measured.clutter) candidates.push(measured);
        if (around.depth >= MAX_DEPTH) {
            measured.size += dom.textContent(element).trim().length;
            measured.end = candidates.length;
            return measured;
        }
        const inner = {
            depth: around.depth + 1,
            section: around.section || SECTIONS.has(name) || isMain(element),
            article: around.article + (name === 'article' ? 1 : 0),
            quote: around.quote || name === 'blockquote' || name === 'figure',
        };
        forEachChild(element, (child) => {
            const type = nodeType(child);
            if (type === Node.TEXT_NODE) {
                if (/\S/.test(child.data)) measured.size += child.data.trim().length;
            } else if (type === Node.ELEMENT_NODE && !WITHOUT_TEXT.has(localName(child))) {
                const part = measure(child, inner, candidates);
                measured.size += part.size;
                measured.hasMain ||= part.hasMain;
                measured.heading ??= part.heading;
            }
        });
        measured.end = candidates.length;
        return measured;
    };

    /** Returns true if a heading may be the title of the page, and not the name of the site. */
    const isTitle = (heading) => !dom.closest(heading, 'a') && !dom.querySelector(heading, 'a, img');

    /**
     * Returns the elements to remove, each with the heading to show instead of it, or null. Empty if
     * nothing else would be left.
     */
    const findClutter = (sources) => {
        const candidates = [];
        let total = 0;
        let main = false;
        for (const source of sources) {
            const around = { depth: 0, section: false, article: 0, quote: false };
            const measured = measure(source, around, candidates);
            total += measured.size;
            main ||= measured.hasMain;
        }
        const removed = new Map();
        let left = total;
        let hasTitle = false;
        for (let at = 0; at < candidates.length; at++) {
            const { element, size, hasMain, heading, clutter, end } = candidates[at];
            const isMost = clutter !== 'tag' && size * 2 > total;
            if (hasMain || isMost || (clutter === 'layout' && heading)) continue;
            removed.set(element, null);
            left -= size;
            // Those inside it follow it.
            at = end - 1;
        }
        if (left === 0) return new Map();
        for (const source of sources) hasTitle ||= hasShownTitle(source, removed);
        if (!hasTitle) {
            const header = candidates.find(
                ({ element, heading, clutter }) =>
                    removed.has(element) && heading && clutter === 'tag' && localName(element) === 'header' && isTitle(heading),
            );
            if (header) removed.set(header.element, header.heading);
        }
        return removed;
    };

    const hasShownTitle = (source, removed) => {
        let found = false;
        let depth = 0;
        const search = (element) => {
            if (found || removed.has(element)) return;
            if (localName(element) === 'h1') found = true;
            else if (++depth <= MAX_DEPTH) forEachElement(element, search);
            depth--;
        };
        search(source);
        return found;
    };

    const sources = included ? findIncluded() : [dom.page.body ?? dom.page.documentElement];
    const removed = onlyMainContent ? findClutter(sources) : new Map();
    const show = (element) => {
        if (excluded && matches(element, excluded)) return null;
        const instead = removed.get(element);
        return instead === undefined ? element : instead;
    };
    return { sources, show, warnings };
})()
