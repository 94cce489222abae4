// Which keys make which letters. A layout lists, for each level (plain, Shift, AltGr, both), what the four rows of keys give; a space
// in a row is a key which gives nothing there. Dead keys are named by the combining mark they add: [key, level].

const ROWS = [
  "Backquote Digit1 Digit2 Digit3 Digit4 Digit5 Digit6 Digit7 Digit8 Digit9 Digit0 Minus Equal".split(" "),
  "KeyQ KeyW KeyE KeyR KeyT KeyY KeyU KeyI KeyO KeyP BracketLeft BracketRight".split(" "),
  "KeyA KeyS KeyD KeyF KeyG KeyH KeyJ KeyK KeyL Semicolon Quote Backslash".split(" "),
  "IntlBackslash KeyZ KeyX KeyC KeyV KeyB KeyN KeyM Comma Period Slash".split(" "),
];
const PLAIN = 0;
const SHIFT = 1;
const ALTGR = 2;
const BOTH = 3;

const GRAVE = "\u0300";
const ACUTE = "\u0301";
const CIRCUMFLEX = "\u0302";
const TILDE = "\u0303";
const DIAERESIS = "\u0308";
// A dead key and the space bar give the mark alone.
const ALONE = { "`": GRAVE, "´": ACUTE, "^": CIRCUMFLEX, "~": TILDE, "¨": DIAERESIS };

const NORDIC_DEAD = {
  [ACUTE]: ["Equal", PLAIN],
  [GRAVE]: ["Equal", SHIFT],
  [DIAERESIS]: ["BracketRight", PLAIN],
  [CIRCUMFLEX]: ["BracketRight", SHIFT],
  [TILDE]: ["BracketRight", ALTGR],
};

export const LAYOUTS = {
  us: {
    label: "English (US)",
    rows: [
      ["`1234567890-=", "qwertyuiop[]", "asdfghjkl;'\\", " zxcvbnm,./"],
      ["~!@#$%^&*()_+", "QWERTYUIOP{}", 'ASDFGHJKL:"|', " ZXCVBNM<>?"],
    ],
  },
  gb: {
    label: "English (UK)",
    rows: [
      ["`1234567890-=", "qwertyuiop[]", "asdfghjkl;'#", "\\zxcvbnm,./"],
      ['¬!"£$%^&*()_+', "QWERTYUIOP{}", "ASDFGHJKL:@~", "|ZXCVBNM<>?"],
      ["    €        "],
    ],
  },
  de: {
    label: "Deutsch",
    rows: [
      [" 1234567890ß ", "qwertzuiopü+", "asdfghjklöä#", "<yxcvbnm,.-"],
      ['°!"§$%&/()=? ', "QWERTZUIOPÜ*", "ASDFGHJKLÖÄ'", ">YXCVBNM;:_"],
      ["  ²³   {[]}\\ ", "@ €        ~", "            ", "|      µ   "],
    ],
    dead: { [CIRCUMFLEX]: ["Backquote", PLAIN], [ACUTE]: ["Equal", PLAIN], [GRAVE]: ["Equal", SHIFT] },
  },
  ch: {
    label: "Deutsch (Schweiz)",
    rows: [
      ["§1234567890' ", "qwertzuiopü ", "asdfghjklöä$", "<yxcvbnm,.-"],
      ['°+"*ç%&/()=? ', "QWERTZUIOPè!", "ASDFGHJKLéà£", ">YXCVBNM;:_"],
      ["  @#  ¬|¢    ", "  €       []", "          {}", "\\          "],
    ],
    dead: {
      [CIRCUMFLEX]: ["Equal", PLAIN],
      [GRAVE]: ["Equal", SHIFT],
      [TILDE]: ["Equal", ALTGR],
      [ACUTE]: ["Minus", ALTGR],
      [DIAERESIS]: ["BracketRight", PLAIN],
    },
  },
  fr: {
    label: "Français (AZERTY)",
    rows: [
      ["²&é\"'(-è_çà)=", "azertyuiop $", "qsdfghjklmù*", "<wxcvbn,;:!"],
      [" 1234567890°+", "AZERTYUIOP £", "QSDFGHJKLM%µ", ">WXCVBN?./§"],
      ["  ~#{[|`\\^@]}", "  €         "],
    ],
    dead: { [CIRCUMFLEX]: ["BracketLeft", PLAIN], [DIAERESIS]: ["BracketLeft", SHIFT] },
  },
  es: {
    label: "Español",
    rows: [
      ["º1234567890'¡", "qwertyuiop +", "asdfghjklñ ç", "<zxcvbnm,.-"],
      ['ª!"·$%&/()=?¿', "QWERTYUIOP *", "ASDFGHJKLÑ Ç", ">ZXCVBNM;:_"],
      ["\\|@#~ ¬      ", "  €       []", "          {}"],
    ],
    dead: {
      [GRAVE]: ["BracketLeft", PLAIN],
      [CIRCUMFLEX]: ["BracketLeft", SHIFT],
      [ACUTE]: ["Quote", PLAIN],
      [DIAERESIS]: ["Quote", SHIFT],
    },
  },
  it: {
    label: "Italiano",
    rows: [
      ["\\1234567890'ì", "qwertyuiopè+", "asdfghjklòàù", "<zxcvbnm,.-"],
      ['|!"£$%&/()=?^', "QWERTYUIOPé*", "ASDFGHJKLç°§", ">ZXCVBNM;:_"],
      ["           `~", "  €       []", "         @# "],
      [" ".repeat(13), "          {}"],
    ],
  },
  pt: {
    label: "Português",
    rows: [
      ["\\1234567890'«", "qwertyuiop+ ", "asdfghjklçº ", "<zxcvbnm,.-"],
      ['|!"#$%&/()=?»', "QWERTYUIOP* ", "ASDFGHJKLÇª ", ">ZXCVBNM;:_"],
      ["  @£§  {[]}  ", "  €         "],
    ],
    dead: {
      [ACUTE]: ["BracketRight", PLAIN],
      [GRAVE]: ["BracketRight", SHIFT],
      [DIAERESIS]: ["BracketLeft", ALTGR],
      [TILDE]: ["Backslash", PLAIN],
      [CIRCUMFLEX]: ["Backslash", SHIFT],
    },
  },
  se: {
    label: "Svenska, suomi",
    rows: [
      ["§1234567890+ ", "qwertyuiopå ", "asdfghjklöä'", "<zxcvbnm,.-"],
      ['½!"#¤%&/()=? ', "QWERTYUIOPÅ ", "ASDFGHJKLÖÄ*", ">ZXCVBNM;:_"],
      ["  @£$  {[]}\\ ", "  €         ", "            ", "|          "],
    ],
    dead: NORDIC_DEAD,
  },
  dk: {
    label: "Dansk",
    rows: [
      ["½1234567890+ ", "qwertyuiopå ", "asdfghjklæø'", "<zxcvbnm,.-"],
      ['§!"#¤%&/()=? ', "QWERTYUIOPÅ ", "ASDFGHJKLÆØ*", ">ZXCVBNM;:_"],
      ["  @£$  {[]} |", "  €         ", "            ", "\\          "],
    ],
    dead: NORDIC_DEAD,
  },
  dvorak: {
    label: "Dvorak (US)",
    rows: [
      ["`1234567890[]", "',.pyfgcrl/=", "aoeuidhtns-\\", " ;qjkxbmwvz"],
      ["~!@#$%^&*(){}", '"<>PYFGCRL?+', "AOEUIDHTNS_|", " :QJKXBMWVZ"],
    ],
  },
  colemak: {
    label: "Colemak (US)",
    rows: [
      ["`1234567890-=", "qwfpgjluy;[]", "arstdhneio'\\", " zxcvbkm,./"],
      ["~!@#$%^&*()_+", "QWFPGJLUY:{}", 'ARSTDHNEIO"|', " ZXCVBKM<>?"],
    ],
  },
};

const stroke = (code, level, character) => ({
  code,
  shift: level === SHIFT || level === BOTH,
  altgr: level === ALTGR || level === BOTH,
  character,
});

function directStrokes(layout) {
  const found = new Map([
    [" ", stroke("Space", PLAIN, " ")],
    ["\n", stroke("Enter", PLAIN, "\n")],
    ["\t", stroke("Tab", PLAIN, "\t")],
  ]);
  layout.rows.forEach((level, depth) =>
    level.forEach((row, index) =>
      [...row].forEach((character, place) => {
        if (!found.has(character)) found.set(character, stroke(ROWS[index][place], depth, character));
      }),
    ),
  );
  return found;
}

const tables = new Map();

function tableOf(name) {
  if (!tables.has(name)) tables.set(name, directStrokes(LAYOUTS[name]));
  return tables.get(name);
}

// The keys to press, one after another, for one character; null when the layout cannot make it.
export function strokesFor(character, name) {
  const table = tableOf(name);
  const direct = table.get(character);
  if (direct) return [direct];
  const [base, mark, ...more] = ALONE[character] ? [" ", ALONE[character]] : [...character.normalize("NFD")];
  const dead = LAYOUTS[name].dead?.[mark];
  const then = table.get(base);
  if (!dead || !then || more.length) return null;
  return [stroke(dead[0], dead[1], mark), then];
}

export const normalized = (words) => words.replace(/\r\n?/g, "\n").normalize("NFC");

// Each character that the layout cannot make, once.
export function untypable(words, name) {
  return [...new Set(normalized(words))].filter((character) => !strokesFor(character, name));
}

const LANGUAGES = { en: "us", "en-gb": "gb", de: "de", "de-ch": "ch", fr: "fr", es: "es", it: "it", pt: "pt", sv: "se", fi: "se", da: "dk" };

// A first guess from the browser's languages.
export function guess(languages = navigator.languages) {
  for (const language of languages.map((name) => name.toLowerCase())) {
    const found = LANGUAGES[language] ?? LANGUAGES[language.split("-")[0]];
    if (found) return found;
  }
  return "us";
}
