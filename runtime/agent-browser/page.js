// Runs in the page, in an isolated world: the page's scripts cannot access it, and their changes to
// built-in prototypes do not affect it. The preceding sources define `dom`, `addressesOf`, `copyTree`
// and `toMarkdown`.
//
// Its value is the page as Markdown.
(() => {
    const { page } = dom;
    return toMarkdown(copyTree([page.body ?? page.documentElement], addressesOf(page.baseURI)));
})()
