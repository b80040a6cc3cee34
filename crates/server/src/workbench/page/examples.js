// Code to begin with, for each language.

/** Examples as `[name, code]`. The first one of a language is shown at first. */
export const EXAMPLES = {
  node: [
    ['Title of a page', `await page.goto('https://example.com');
await page.title();
`],
    ['Links of a page', `await page.goto('https://example.com');
const links = await page.locator('a').evaluateAll((all) => all.map(({ href, textContent }) => ({ href, textContent })));
links;
`],
    ['Fill in a form', `await page.setContent('<label>Name <input></label><button>Send</button>');
await page.getByLabel('Name').fill('Ada');
await page.getByRole('button', { name: 'Send' }).click();
await page.getByLabel('Name').inputValue();
`],
    ['Picture of a page', `import { writeFile } from 'node:fs/promises';
await writeFile('page.png', await page.screenshot());
console.log('page.png is in the working directory');
`],
    ['Output while code runs', `for (let step = 1; step <= 5; step += 1) {
  console.log(\`step \${step}\`);
  await page.waitForTimeout(500);
}
`],
  ],
  python: [
    ['Title of a page', `await page.goto("https://example.com")
await page.title()
`],
    ['Rows of a table', `import pandas as pd
from io import StringIO

await page.set_content("<table><tr><th>City<th>km<tr><td>Ghent<td>55<tr><td>Liège<td>97</table>")
tables = pd.read_html(StringIO(await page.content()))
print(tables[0].to_string(index=False))
`],
    ['Output while code runs', `import asyncio

for step in range(1, 6):
    print("step", step, flush=True)
    await asyncio.sleep(0.5)
`],
  ],
  bash: [
    ['Page as Markdown', `agent-browser open https://example.com
agent-browser scrape
`],
    ['Elements of a page', `agent-browser open https://example.com
agent-browser snapshot
`],
    ['Files of the session', `pwd
ls -la
`],
  ],
};
