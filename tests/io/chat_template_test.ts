import { assertEquals, assertThrows } from "@std/assert";
import { renderChat } from "../../lib/io/chat_template.ts";

const MESSAGES = [{ role: "user", content: "hi" }];
const TEMPLATE = "{{ bos_token }}{% for m in messages %}<{{ m['role'] }}>{{ m.content | trim }}{% endfor %}" +
  "{% if add_generation_prompt %}<assistant>{% endif %}";

Deno.test("renderChat() renders by the template with special tokens and the generation prompt", () => {
  const tokenizer = { chatTemplate: TEMPLATE, specialTokens: { bos_token: "<s>" } };
  assertEquals(renderChat(tokenizer, MESSAGES), "<s><user>hi");
  assertEquals(renderChat(tokenizer, MESSAGES, { addGenerationPrompt: true }), "<s><user>hi<assistant>");
});

Deno.test("renderChat() passes on what a template refuses, and asks for one where there is none", () => {
  const refusing = { chatTemplate: "{{ raise_exception('no system') }}", specialTokens: {} };
  assertThrows(() => renderChat(refusing, MESSAGES), RangeError, "no system");
  assertThrows(
    () => renderChat({ ...refusing, chatTemplate: "{% if %}" }, MESSAGES),
    RangeError,
    "Cannot render",
  );
  assertThrows(
    () => renderChat({ ...refusing, chatTemplate: undefined }, MESSAGES),
    RangeError,
    "no chat_template",
  );
});
