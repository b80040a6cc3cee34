// The request that runs code, as a program in another language. The key comes from the environment.

export function copyAs(form, id, request) {
  return { curl, javascript, python }[form](id, request);
}

function curl(id, request) {
  return `curl -s ${location.origin}/v2/interact/${id}/execute \\
  -H "Authorization: Bearer $FIRECRAWL_API_KEY" -H 'Content-Type: application/json' \\
  -d ${quoteForShell(JSON.stringify(request))}
`;
}

function quoteForShell(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function javascript(id, { code, language, timeout }) {
  return `import { Firecrawl } from 'firecrawl';
const firecrawl = new Firecrawl({ apiUrl: '${location.origin}', apiKey: process.env.FIRECRAWL_API_KEY });
const code = ${JSON.stringify(code)};
const run = await firecrawl.browserExecute('${id}', { language: '${language}', timeout: ${timeout}, code });
console.log(run.result, run.exitCode);
`;
}

/** JSON's escapes mean the same in Python. */
function python(id, { code, language, timeout }) {
  return `import os
from firecrawl import Firecrawl
firecrawl = Firecrawl(api_url="${location.origin}", api_key=os.environ.get("FIRECRAWL_API_KEY"))
code = ${JSON.stringify(code)}
run = firecrawl.browser_execute("${id}", code, language="${language}", timeout=${timeout})
print(run.result, run.exit_code)
`;
}
