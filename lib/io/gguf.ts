import type { DType } from "../core/dtype.ts";
import type { HostTensor } from "../core/host_tensor.ts";
import { type GgufHeader, parseGguf } from "./gguf_format.ts";
import { openNamed, readAt } from "./read_at.ts";

/** Whether `path` names a GGUF file, by its ending. */
export function isGguf(path: string): boolean {
  return path.toLowerCase().endsWith(".gguf");
}

/** An open GGUF file: its header is read and checked, tensors are read when asked for. */
export interface GgufFile extends GgufHeader, Disposable {
  /** The file. */
  readonly path: string;
  /**
   * Reads one tensor and nothing else; blocks stay as they are stored.
   *
   * @throws {RangeError} If the file has no such tensor.
   */
  read(name: string): Promise<HostTensor>;
  /** Closes the file; also what `using` calls. */
  close(): void;
}

/**
 * Opens and checks the GGUF file at `path`; of its bytes only the header's are read.
 *
 * @throws {SyntaxError} If the file is not a well-formed GGUF file; the message says what is wrong.
 * @throws {TypeError} If it holds a tensor of a type that is not read.
 * @throws {Deno.errors.NotFound} If there is no such file.
 */
export async function openGguf(path: string): Promise<GgufFile> {
  const file = await openNamed(path, "GGUF");
  try {
    const { size } = await file.stat();
    const header = parseGguf((offset, length) => readAt(file, offset, length, path), size, path);
    let open = true;
    const close = () => {
      if (open) file.close();
      open = false;
    };
    return {
      path,
      ...header,
      // deno-lint-ignore require-await -- async so that every failure is a rejection
      async read(name) {
        const info = header.tensors.get(name);
        if (!info) throw new RangeError(`Cannot read tensor ${name}: ${path} has no tensor of that name`);
        const dtype = info.dtype.toLowerCase() as DType;
        return { dtype, shape: info.shape, bytes: readAt(file, info.byteOffset, info.byteLength, path) };
      },
      close,
      [Symbol.dispose]: close,
    };
  } catch (error) {
    file.close();
    throw error;
  }
}
