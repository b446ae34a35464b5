//! Paths that nginx treats in its own way: rows as for `proofs::verdicts`.

/// Ordinary ones.
pub(super) const VERDICTS: &str = "
    nobody         OPTIONS *                                           400 -
    nobody         GET     /public/café                                403 ambiguous_path
    nobody         GET     /public/%61                                 200 permitted
    alice          GET     /unknown                                    403 no_route
    # The door itself is not one for clients: it is a path like others, and nginx says 404.
    alice          GET     /portcullis                                 404 -
    alice          GET     /nginx                                      403 no_route
";

/// nginx refuses some of these itself, with 400 and without asking; whatever it asks about is refused with 403.
pub(super) const HOSTILE: &str = "
    alice          GET     /public/../workspaces/ws-bob                403 ambiguous_path
    alice          GET     /public/%2e%2e/workspaces/ws-bob            403 ambiguous_path
    alice          GET     /public/..%2fworkspaces                     403 ambiguous_path
    alice          GET     /public/..%2Fworkspaces                     403 ambiguous_path
    alice          GET     /public/..%5cworkspaces                     403 ambiguous_path
    alice          GET     /public/..\\workspaces                      403 ambiguous_path
    alice          GET     /public/..;/workspaces                      403 ambiguous_path
    alice          GET     /public/a;b                                 403 ambiguous_path
    alice          GET     //workspaces/ws-alice                       403 ambiguous_path
    alice          GET     /workspaces//ws-alice                       403 ambiguous_path
    alice          GET     /./workspaces/ws-alice                      403 ambiguous_path
    alice          GET     /workspaces/ws-alice%252fx                  403 ambiguous_path
    nobody         GET     /public/#/workspaces                        403 ambiguous_path
    alice          GET     /public/../../workspaces                    400 -
    alice          GET     /public/%00                                 400 -
    alice          GET     /public/%zz                                 400 -
    alice          GET     /workspaces/ws-bob%2f..%2fws-alice          403 ambiguous_path
    # What nginx would take for its own door, and for the path in front of it.
    alice          GET     /portcullis/../public/hello                 403 ambiguous_path
    alice          GET     /public/../portcullis                       404 -
    alice          GET     /%70ortcullis                               404 -
";
