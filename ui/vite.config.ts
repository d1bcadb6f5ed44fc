/// <reference types="node" />
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// The server to develop against: a running Bellwether, or anything that speaks the same HTTP API.
const server = process.env.BELLWETHER_URL ?? 'http://127.0.0.1:9090';

export default defineConfig({
  plugins: [react()],
  build: {
    target: 'es2022',
    // The server compresses and sets cache headers by the hash in the name; sizes are checked by scripts/bundle-size.mjs.
    assetsDir: 'assets',
    reportCompressedSize: false,
    sourcemap: false,
    // The notices that the licences of bundled packages ask for; the server offers the file beside the scripts.
    license: { fileName: 'licenses.md' },
    // Fonts stay files: inlined ones would block the first paint and could not be cached apart.
    assetsInlineLimit: 0,
  },
  server: { host: '127.0.0.1', proxy: { '/api': server, '/-': server } },
  preview: { host: '127.0.0.1', proxy: { '/api': server, '/-': server } },
});
