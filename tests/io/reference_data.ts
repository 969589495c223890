/**
 * Published models, tokenizers and texts that are not part of this repository. Where they lie beside it
 * (`../shared/data`), tests read them; where not, those tests are reported as ignored and one line says so.
 */
const root = new URL("../../../shared/data/", import.meta.url);

/** Where `path` of the reference data is, and whether tests of it are to be ignored. */
export function referenceData(path: string): { path: string; ignore: boolean } {
  const url = new URL(path, root);
  try {
    Deno.statSync(url);
    return { path: decodeURIComponent(url.pathname), ignore: false };
  } catch {
    console.error(`left out: tests on ${path}, which is not beside this repository`);
    return { path: "", ignore: true };
  }
}
