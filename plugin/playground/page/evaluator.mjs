// The plugin's own code, from its bytes: neither this page nor its worker may fetch anything (connect-src 'none').
import { module } from './module.mjs';
import { check, initSync, preview, version } from './openid.mjs';

initSync({ module: Uint8Array.from(atob(module), (character) => character.charCodeAt(0)) });

/** The plugin's version. */
export const pluginVersion = version();

/**
 * Checks the configuration, and plays the input if there is one.
 *
 * @param {{configuration: string, provider: number, input: string}} question `provider`: which [[provider]], from 0
 * @returns {{checked: object, played: object | null}} `check` and `preview` of plugin/src/playground
 */
export function evaluate({ configuration, provider, input }) {
  const checked = JSON.parse(check(configuration, provider));
  const played = input.trim() === '' ? null : JSON.parse(preview(configuration, provider, input));
  return { checked, played };
}
