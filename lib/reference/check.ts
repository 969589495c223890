/**
 * Checks that each flat array holds as many elements as its axes say.
 *
 * @param operation Name for the error message.
 * @param axes Lengths of the named axes.
 * @param arrays Keys such as `"w [out, in]"`, each with the array found there.
 * @throws {RangeError} E.g. `Cannot compute linear with w [out, in]: got 12 elements, expected 20`.
 */
export function checkLengths(
  operation: string,
  axes: Readonly<Record<string, number>>,
  arrays: Record<string, ArrayLike<number>>,
): void {
  for (const [key, array] of Object.entries(arrays)) {
    const names = key.slice(key.indexOf("[") + 1, key.lastIndexOf("]")).split(",");
    const expected = names.reduce((product, name) => product * axes[name.trim()], 1);
    if (array.length !== expected) {
      throw new RangeError(
        `Cannot compute ${operation} with ${key}: got ${array.length} elements, expected ${expected}`,
      );
    }
  }
}
