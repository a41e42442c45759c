package pledger.peer;

import java.util.ArrayList;

/** A run that cannot go on, or that did not come out as it must. */
final class Failure extends RuntimeException {
    private static final long serialVersionUID = 1;

    Failure(String message) {
        super(message);
    }

    Failure(String message, Throwable cause) {
        super(message + ": " + chain(cause), cause);
    }

    /** An error with all that it follows from. */
    static String chain(Throwable error) {
        var parts = new ArrayList<String>();
        for (var at = error; at != null; at = at.getCause()) {
            var part = at.getMessage() == null ? at.getClass().getSimpleName() : at.getMessage();
            if (parts.stream().noneMatch(known -> known.contains(part))) {
                parts.add(part);
            }
        }
        return String.join(": ", parts);
    }
}
