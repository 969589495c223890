/**
 * Makes sure that there is a GPU adapter before a task needs one: `deno run -P=setup lib/cli/setup.ts`.
 *
 * Without an adapter it says what was looked for and, on Debian and Ubuntu as root, installs the Vulkan loader and
 * Mesa's software driver. Elsewhere it prints what a person can do and exits 1.
 *
 * @module
 */
import type { Probe } from "./probe_worker.ts";

const PACKAGES = ["libvulkan1", "mesa-vulkan-drivers"];
const LOADER = "libvulkan.so.1";
const LIBRARY_FOLDERS = ["/usr/lib", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];
const MANIFEST_FOLDERS = ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"];

/** What the remedy for a missing adapter depends on. */
export interface System {
  /** `Deno.build.os`. */
  os: string;
  /** Content of `/etc/os-release`, empty where there is none. */
  osRelease: string;
  /** Whether packages may be installed. */
  isRoot: boolean;
}

/** Packages to install here and now, or what to tell the person who can. */
export type Remedy = { install: string[] } | { advice: string };

/** Says how `system` gets an adapter. */
export function remedy(system: System): Remedy {
  if (system.os === "darwin") {
    return {
      advice: "macOS: WebGPU runs on Metal and nothing needs installing; this Mac offers no Metal device",
    };
  }
  if (system.os === "windows") {
    return {
      advice: "Windows: WebGPU runs on Direct3D 12 and nothing needs installing; update the display driver",
    };
  }
  const isDebian = /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(system.osRelease);
  if (!isDebian) {
    return {
      advice:
        "install the Vulkan loader and a driver (Mesa's lavapipe runs on any CPU) with the package manager",
    };
  }
  if (system.isRoot) return { install: PACKAGES };
  return { advice: `run: sudo apt-get update && sudo apt-get install -y ${PACKAGES.join(" ")}` };
}

/** Sets `XDG_RUNTIME_DIR` where it is missing: Mesa prints an error without it, whatever it points to. */
export function quietLoader(): void {
  if (Deno.build.os === "linux" && !Deno.env.get("XDG_RUNTIME_DIR")) Deno.env.set("XDG_RUNTIME_DIR", "/tmp");
}

/** Prints the adapter that will be used, after installing what it takes; exits 1 where there is none. */
export async function ensureAdapter(): Promise<void> {
  quietLoader();
  let found = await probe();
  if (found.adapters.length === 0) {
    const system = { os: Deno.build.os, osRelease: readText("/etc/os-release"), isRoot: Deno.uid() === 0 };
    console.error(`No GPU adapter. ${Deno.build.os === "linux" ? lookedFor() : ""}`.trim());
    const cure = remedy(system);
    if ("advice" in cure) stop(cure.advice);
    await install(cure.install);
    found = await probe();
    if (found.adapters.length === 0) stop(`no GPU adapter even with ${cure.install.join(" and ")} installed`);
  }
  if ("error" in found) stop(found.error);
  const note = found.isSoftware ? " (a software adapter: it computes on the CPU, far slower than a GPU)" : "";
  console.error(`adapter: ${found.name}${note}`);
}

/**
 * A process whose Vulkan loader failed once never sees an adapter again, but its new workers do. The worker closes
 * itself: to terminate one that held a device crashes the process now and then.
 */
function probe(): Promise<Probe> {
  const worker = new Worker(new URL("./probe_worker.ts", import.meta.url), { type: "module" });
  return new Promise<Probe>((resolve, reject) => {
    worker.onmessage = (event: MessageEvent<Probe>) => resolve(event.data);
    worker.onerror = (event) => reject(new Error(event.message));
  });
}

async function install(packages: string[]): Promise<void> {
  console.error(`Installing ${packages.join(" and ")} with apt-get`);
  for (const args of [["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", ...packages]]) {
    const { success } = await new Deno.Command("apt-get", {
      args,
      env: { DEBIAN_FRONTEND: "noninteractive" },
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
    }).output();
    if (!success) stop(`apt-get ${args.join(" ")} failed`);
  }
}

/** What the loader would have found, in one line. */
function lookedFor(): string {
  const libraries = LIBRARY_FOLDERS.filter((folder) => entries(folder).includes(LOADER));
  const manifests = MANIFEST_FOLDERS.flatMap((folder) => entries(folder).map((name) => `${folder}/${name}`));
  return `Looked for the Vulkan loader ${LOADER} in ${LIBRARY_FOLDERS.join(", ")} (found ${
    list(libraries)
  }) ` +
    `and for driver manifests in ${MANIFEST_FOLDERS.join(", ")} (found ${list(manifests)}).`;
}

function list(names: string[]): string {
  return names.join(", ") || "none";
}

function entries(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map((entry) => entry.name);
  } catch {
    return [];
  }
}

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

function stop(message: string): never {
  console.error(`error: ${message}`);
  Deno.exit(1);
}

if (import.meta.main) await ensureAdapter();
