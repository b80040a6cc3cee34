// Generates the TypeScript client from the file $INPUT into the directory $OUTPUT.
export default {
  input: process.env.INPUT,
  output: { path: process.env.OUTPUT, module: { extension: '.ts' } },
  plugins: ['@hey-api/client-fetch', '@hey-api/typescript', '@hey-api/sdk'],
  logs: { level: 'warn' },
};
