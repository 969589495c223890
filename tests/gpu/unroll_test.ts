import { assertEquals, assertThrows } from "@std/assert";
import { unroll } from "../../lib/gpu/unroll.ts";

const tight = (text: string) => text.replace(/\s+/g, "");

Deno.test("unroll() writes out loops over constants, nested ones too", () => {
  const source =
    "for (var i = 0u; i < N; i++) { for (var j = 0u; j < M; j++) { c[i * M + j] += a[i] * x.i0; } }";
  assertEquals(
    tight(unroll(source, { N: 2, M: 1 })),
    "{{c[0u*M+0u]+=a[0u]*x.i0;}}{{c[1u*M+0u]+=a[1u]*x.i0;}}",
  );
});

Deno.test("unroll() leaves other loops alone and unrolls what is inside them", () => {
  const source = "for (var k = 0u; k < u.k; k++) { for (var i = 0u; i < N; i++) { f(i, k); } } g();";
  assertEquals(tight(unroll(source, { N: 2 })), "for(vark=0u;k<u.k;k++){{f(0u,k);}{f(1u,k);}}g();");
  assertEquals(unroll(source, {}), source);
});

Deno.test("unroll() refuses a loop without an end", () => {
  assertThrows(() => unroll("for (var i = 0u; i < N; i++) { {", { N: 2 }), SyntaxError, "no closing brace");
});
