// Builds what pages load: dist/NAME-HASH.css and .js, each also compressed, and dist/manifest.json, which says what each is called.
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { brotliCompressSync } from 'node:zlib';
import { build } from 'esbuild';
import { compile } from 'sass';

rmSync('dist', { recursive: true, force: true });
mkdirSync('dist');
const manifest = {};

function keep(name, kind, text) {
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 16);
  const file = `${name}-${hash}.${kind}`;
  writeFileSync(`dist/${file}`, text);
  writeFileSync(`dist/${file}.br`, brotliCompressSync(text));
  manifest[`${name}.${kind}`] = file;
}

const { css } = compile('styles/homeward.scss', {
  style: 'compressed',
  loadPaths: ['node_modules'],
  quietDeps: true,
});
keep('homeward', 'css', css);

// Each is loaded only by pages that need it.
for (const name of ['page', 'charts', 'patient', 'worklist']) {
  const { outputFiles } = await build({
    entryPoints: [`scripts/${name}.ts`],
    bundle: true,
    minify: true,
    target: ['es2020'],
    format: 'iife',
    write: false,
  });
  keep(name, 'js', outputFiles[0].text);
}

writeFileSync('dist/manifest.json', JSON.stringify(manifest, null, 2));
