// Formats files in their places, by Prettier. What can't be is told as FILE:LINE:COLUMN: MESSAGE.
'use strict';

const fs = require('node:fs');
const prettier = require('./formatter/standalone.js');
const plugins = [require('./formatter/plugins/babel.js'), require('./formatter/plugins/estree.js')];

async function format(name) {
  const text = fs.readFileSync(name, 'utf8');
  try {
    fs.writeFileSync(name, await prettier.format(text, { parser: 'babel', plugins, tabWidth: 2, printWidth: 88 }));
  } catch (error) {
    const start = error.loc?.start;
    if (!start) throw error;
    // The text goes on with a picture of the place, which whoever reads this has in front of them.
    const words = error.message.split('\n')[0].replace(/ \(\d+:\d+\)$/, '');
    console.error(`${name}:${start.line}:${start.column}: ${words}`);
    process.exitCode = 1;
  }
}

(async () => {
  for (const name of process.argv.slice(2)) await format(name);
})();
