/** What the checks on the repository's own shape read: its files and who imports whom. */

import { fileURLToPath } from "node:url";

/** The repository's root. */
export const root = new URL("../../", import.meta.url);

/** Paths, relative to the root and with forward slashes, of the files under `folder` whose name matches. */
export function filesUnder(folder: string, name: RegExp): string[] {
  const found: string[] = [];
  const walk = (path: string) => {
    for (const entry of Deno.readDirSync(new URL(path, root))) {
      if (entry.isDirectory) walk(`${path}${entry.name}/`);
      else if (name.test(entry.name)) found.push(`${path}${entry.name}`);
    }
  };
  walk(folder);
  return found.sort();
}

/** Text of a file of the repository. */
export function read(path: string): string {
  return Deno.readTextFileSync(new URL(path, root));
}

/** Source text without its comments. */
export function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|[^:"'`])\/\/.*$/gm, "$1");
}

/** One import of a module of ours: the specifier as written and what it resolved to. */
export interface Import {
  from: string;
  specifier: string;
  to: string;
}

interface Dependency {
  specifier: string;
  code?: { specifier: string };
  type?: { specifier: string };
}

/** All imports, of values and of types, between the modules that `entries` reach; from Deno's own module graph. */
export async function imports(entries: string[]): Promise<Import[]> {
  const folder = await Deno.makeTempDir();
  try {
    const all = `${folder}/all.ts`;
    await Deno.writeTextFile(all, entries.map((path) => `import "${new URL(path, root)}";\n`).join(""));
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--config", fileURLToPath(new URL("deno.json", root)), all],
    }).output();
    const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as {
      modules: { specifier: string; dependencies?: Dependency[] }[];
    };
    return modules.filter((module) => module.specifier.startsWith(root.href)).flatMap((module) =>
      (module.dependencies ?? []).map(({ specifier, code, type }) => ({
        from: module.specifier.slice(root.href.length),
        specifier,
        to: (code ?? type)?.specifier.replace(root.href, "") ?? "",
      }))
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
