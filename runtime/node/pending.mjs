// Describes the Playwright calls that have not ended, for the error of code that is killed.
//
// Independent of frames and cells.

/** The number of calls that are remembered and described. */
const MAX_CALLS = 100;
const MAX_DESCRIBED = 3;
/** The maximum length of the subject of a call, such as its locator. */
const MAX_SUBJECT_LENGTH = 200;

const { stringify } = JSON;

export class PendingCalls {
  #calls = new Map(); // call → its parameters, in the order in which the calls began
  #locatorText;

  /**
   * `instrumentation` is Playwright's, which announces calls. `locatorText(selector)` returns a
   * locator as code.
   */
  constructor(instrumentation, locatorText) {
    this.#locatorText = locatorText;
    const calls = this.#calls;
    instrumentation.addListener({
      onApiCallBegin(call, { params }) {
        calls.set(call, params ?? {});
        if (calls.size > MAX_CALLS) calls.delete(calls.keys().next().value);
      },
      onApiCallEnd(call) {
        calls.delete(call);
      },
    });
  }

  /** Returns the calls as a text, or an empty one. The oldest is the first. */
  describe() {
    // Calls without a name are those of the library itself.
    const named = [...this.#calls].filter(([call]) => nameOf(call));
    const shown = named.slice(0, MAX_DESCRIBED).map(([call, params]) => this.#describe(call, params));
    const rest = named.length - shown.length;
    return rest > 0 ? `${shown.join(', ')} and ${rest} more` : shown.join(', ');
  }

  #describe(call, params) {
    const subject = this.#subject(params);
    const place = call.frames?.map(({ file, line }) => /[^/]*$/.exec(file)[0] + (line ? `:${line}` : ''))
      .find((each) => each.startsWith('execute-'));
    return `${nameOf(call)}${subject ? ` of ${subject}` : ''}${place ? ` (${place})` : ''}`;
  }

  #subject({ selector, event, url }) {
    let text = '';
    if (typeof selector === 'string') text = this.#locatorText(selector);
    else if (typeof event === 'string') text = stringify(event);
    else if (typeof url === 'string') text = url;
    text = text.replace(/\s+/g, ' ');
    return text.length > MAX_SUBJECT_LENGTH ? `${text.slice(0, MAX_SUBJECT_LENGTH)}…` : text;
  }
}

function nameOf({ apiName, title }) {
  return apiName || title;
}
