// Beside the page, so that whatever the administrator writes can't freeze it.
import { evaluate, pluginVersion } from './evaluator.mjs';

self.addEventListener('message', ({ data }) => {
  try {
    self.postMessage({ number: data.number, ...evaluate(data) });
  } catch (error) {
    self.postMessage({ number: data.number, failed: String(error) });
  }
});
self.postMessage({ version: pluginVersion });
