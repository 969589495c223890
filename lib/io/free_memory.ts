/** Memory that the machine can give, in bytes; Infinity in a process that may not ask. */
export function freeBytes(): number {
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "systemMemoryInfo" });
  return state === "granted" ? Deno.systemMemoryInfo().available : Infinity;
}
