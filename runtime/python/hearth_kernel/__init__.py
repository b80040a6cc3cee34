"""The python kernel: a long-lived process that runs cells with a connected Playwright.

A session has at most one. Cells use Playwright's async API.

main           the loop, the meaning of frames, the end of the process
channel        frames over file descriptors 3 and 4
streams        lossless text streams for fds 1 and 2
cells          compiles and runs source in the user's namespace
returns        rewrites a top-level return
writes         recognizes the status of a write as the last value
nesting        lets synchronous code wait for the running event loop
exits          the meaning of exits in a process that outlives the code
exit_functions calls the functions of atexit
signals        the meaning of signal handlers in a process that outlives the code
launch         connects launched browsers to the session's browser
language_hint  guesses the language of code that does not parse
values         formats the value of a cell
errors         formats exceptions
deadline       ends Playwright's default timeouts before a cell is killed
pending        describes the Playwright calls that have not ended
driver         starts Playwright's driver process before its library is imported
binding        provides the names browser, context and page

User code runs in the same process. If it breaks the kernel, the process must exit, because the
runner replaces a kernel that has exited. It must never leave the runner waiting.
"""
