// Reads the metadata of a page. Runs in the page, in an isolated world, after `dom`.
//
// Its value is a function that takes the addresses of the page and returns an object. Its values
// are strings, and arrays of strings in `keywords` and `ogLocaleAlternate`.
(() => (addresses) => {
    /** Limits for what a page can add to the response. */
    const MAX_ENTRIES = 256;
    const MAX_NAME_LENGTH = 256;
    const MAX_VALUE_LENGTH = 16_384;

    /** Elements that have other names in the response. */
    const NAMED = {
        description: 'description',
        robots: 'robots',
        firecrawlagent: 'firecrawlAgentRobots',
        'og:title': 'ogTitle',
        'og:description': 'ogDescription',
        'og:url': 'ogUrl',
        'og:image': 'ogImage',
        'og:audio': 'ogAudio',
        'og:determiner': 'ogDeterminer',
        'og:locale': 'ogLocale',
        'og:site_name': 'ogSiteName',
        'og:video': 'ogVideo',
        'article:published_time': 'publishedTime',
        'article:modified_time': 'modifiedTime',
        'article:section': 'articleSection',
        'article:tag': 'articleTag',
        'dcterms.created': 'dcTermsCreated',
        'dcterms.type': 'dcTermsType',
        'dcterms.audience': 'dcTermsAudience',
        'dcterms.subject': 'dcTermsSubject',
        'dcterms.keywords': 'dcTermsKeywords',
        'dc.date.created': 'dcDateCreated',
        'dc.date': 'dcDate',
        'dc.type': 'dcType',
        'dc.subject': 'dcSubject',
        'dc.description': 'dcDescription',
    };
    const LISTS = { keywords: 'keywords', 'og:locale:alternate': 'ogLocaleAlternate' };
    /**
     * Names that only the server sets, without their separators. Clients expect numbers in some of
     * them.
     */
    const RESERVED = new Set([
        ...['sourceurl', 'url', 'statuscode', 'contenttype', 'scrapeid', 'proxyused', 'creditsused', 'concurrencylimited', 'error'],
        ...['concurrencyqueuedurationms', 'numpages', 'totalpages', 'cachestate', 'cachedat', 'timezone', 'postprocessorsused'],
        ...['indexid', 'oglocalealternate', 'proto'],
    ]);

    const metadata = new Map();
    const lists = new Map();

    /** Sets a value that is not set yet. */
    const set = (name, value) => {
        if (!metadata.has(name) && metadata.size < MAX_ENTRIES) metadata.set(name, value);
    };

    const read = (element) => {
        const name = (
            dom.getAttribute(element, 'name') ||
            dom.getAttribute(element, 'property') ||
            dom.getAttribute(element, 'itemprop') ||
            ''
        ).trim();
        const value = dom.getAttribute(element, 'content')?.slice(0, MAX_VALUE_LENGTH);
        if (!name || !value || name.length > MAX_NAME_LENGTH) return;
        const lower = name.toLowerCase();
        if (Object.hasOwn(LISTS, lower)) {
            const values = lists.get(LISTS[lower]) ?? [];
            if (values.length < MAX_ENTRIES) lists.set(LISTS[lower], [...values, value]);
            return;
        }
        if (Object.hasOwn(NAMED, lower)) set(NAMED[lower], value);
        if (!RESERVED.has(lower.replace(/[^a-z0-9]/g, ''))) set(name, value);
    };

    const root = dom.page.documentElement;
    const title = dom.page.title.trim();
    if (title) metadata.set('title', title.slice(0, MAX_VALUE_LENGTH));
    const language = dom.getAttribute(root, 'lang') || dom.getAttribute(root, 'xml:lang');
    if (language) metadata.set('language', language.slice(0, MAX_NAME_LENGTH));
    const icon = dom.querySelector(root, 'link[rel="icon"][href], link[rel~="icon"][href], link[rel*="icon"][href]');
    if (icon) {
        const address = addresses.absolute(dom.getAttribute(icon, 'href'));
        if (/^https?:/i.test(address)) metadata.set('favicon', address.slice(0, MAX_VALUE_LENGTH));
    }
    for (const element of dom.querySelectorAll(root, 'meta')) read(element);
    for (const [name, values] of lists) {
        set(name, name === 'keywords' && values.length === 1 ? values[0] : values);
    }
    return Object.fromEntries(metadata);
})()
