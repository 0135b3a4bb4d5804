# manual.jq: a manual page, in the macros of man(7), from what `hepar --experimental-dump-help` tells.
# $command names the command, "" the program itself; $version stands at the page's foot.

# A line that groff shows as it is.
def plain: gsub("\\\\"; "\\e") | gsub("-"; "\\-") | gsub("\n"; " ") | sub("^(?<c>[.'])"; "\\&\(.c)");
def bold: "\\fB\(plain)\\fR";
def italic: "\\fI\(plain)\\fR";
def paragraphs: split("\n\n")[] | ".PP", plain;

def shown: [.arguments[]? | select(.shouldDisplay)];
def children: [.subcommands[]? | select(.shouldDisplay and .commandName != "help")];
def option: if .kind == "short" then "-\(.name)" else "--\(.name)" end;
def value: (if .kind == "flag" then "" else "\(.valueName | italic)" end) + if .isRepeating then " ..." else "" end;
def brief: if .kind == "positional" then value else "\(.preferredName | option | bold) \(value)" | rtrimstr(" ") end;

def synopsis($name):
  ($name | bold) + ([shown[] | if .isOptional then " [\(brief)]" else " \(brief)" end] | join(""))
  + if children == [] then "" else " \("command" | italic) ..." end;

def arguments:
  shown[] | ".TP",
    (if .kind == "positional" then value else ([.names[] | option | bold] | join(", ")) + " " + value | rtrimstr(" ") end),
    ((.abstract // "") + (if .defaultValue then " (default: \(.defaultValue))" else "" end) | plain);

# A command of a command: a section of its page.
def subsection($name):
  ".SS \($name | plain)", (.abstract // "" | plain), ".PP", synopsis($name), (.discussion // empty | paragraphs), arguments;

def page($name; $title):
  ".TH \($title | ascii_upcase | plain) 1 \"\" \"\($version)\"",
  ".SH NAME", "\($title | plain) \\- \(.abstract // "" | rtrimstr(".") | plain)",
  ".SH SYNOPSIS", synopsis($name),
  (if .discussion then ".SH DESCRIPTION", (.discussion | paragraphs) else empty end),
  (if shown == [] then empty else ".SH OPTIONS", arguments end);

.command
| if $command == "" then
    page("hepar"; "hepar"),
    ".SH COMMANDS", (children[] | ".TP", "\("hepar-" + .commandName | bold)(1)", (.abstract // "" | plain)),
    ".SH EXIT STATUS", "2 if the input or the command must change, 1 if Hepar failed.",
    ".SH SEE ALSO", "operations.md and openapi.yaml in share/doc/hepar"
  else
    .subcommands[] | select(.commandName == $command)
    | page("hepar \($command)"; "hepar-\($command)"),
      (if children == [] then empty
       else ".SH COMMANDS", (children[] | subsection("hepar \($command) \(.commandName)")) end),
      ".SH SEE ALSO", "\("hepar" | bold)(1)"
  end
