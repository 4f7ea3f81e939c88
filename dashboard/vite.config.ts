import { defineConfig } from "vite";

// Builds into the function that serves the page. `npm run dev` proxies API requests to a running live-feed.
const live = process.env.LIVE_URL ?? "http://127.0.0.1:8081";

export default defineConfig({
  build: { outDir: "../functions/live_feed/dashboard", emptyOutDir: true, sourcemap: false },
  server: {
    host: "127.0.0.1",
    proxy: {
      "/api": live,
      "/config.json": live,
      "/ws": { target: live.replace("http", "ws"), ws: true },
    },
  },
});
