"""One long-lived python process per session that runs cells next to a connected Playwright (async API).

main      the loop, the frames' meaning, the end of the process
channel   frames over file descriptors 3 and 4
streams   fds 1 and 2 as text streams that lose nothing
cells     compiling and running source in the user's namespace
values    a cell's value as text
errors    a thrown exception as one line and as a trace
driver    Playwright's own child process, started before its library is loaded
binding   the names browser, context and page

User code runs in this same process. What it can reasonably break must end the process, for the runner replaces
a kernel that ended; it must never leave the runner waiting.
"""
