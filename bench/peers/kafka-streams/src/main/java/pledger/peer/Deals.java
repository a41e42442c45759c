package pledger.peer;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.annotation.JsonTypeInfo;

/** What goes over the topics. As JSON it reads like that of the Rust peers, so events have the same size. */
final class Deals {
    private Deals() {}

    /** Where a deal is; each follows the one before. */
    enum Stage {
        @JsonProperty("registered")
        REGISTERED,
        @JsonProperty("approved")
        APPROVED,
        @JsonProperty("qualified")
        QUALIFIED,
        @JsonProperty("committed")
        COMMITTED,
        @JsonProperty("won")
        WON;

        boolean isAfter(Stage other) {
            return ordinal() == other.ordinal() + 1;
        }

        /** Whether nobody else may register the same on the account. */
        boolean protects() {
            return this == APPROVED || this == QUALIFIED || this == COMMITTED;
        }
    }

    /** @param amount whole dollars */
    record Registration(
            String partnerId, String name, String country, String product, long amount, String region, String expectedClose) {}

    /**
     * Who asked, how and when.
     *
     * @param key the idempotency key
     * @param inputHash SHA-256 of the input in pledger; here only as long
     */
    record Context(
            String sender, String channel, String key, String inputHash, String effectiveAt, String receivedAt, String rules) {}

    record Command(String accountId, String dealId, Ask ask, Context context) {}

    @JsonTypeInfo(use = JsonTypeInfo.Id.NAME, include = JsonTypeInfo.As.WRAPPER_OBJECT)
    @JsonSubTypes({
        @JsonSubTypes.Type(value = Register.class, name = "Register"),
        @JsonSubTypes.Type(value = Approve.class, name = "Approve"),
        @JsonSubTypes.Type(value = Advance.class, name = "Advance"),
        @JsonSubTypes.Type(value = Close.class, name = "Close"),
    })
    sealed interface Ask {}

    record Register(Registration registration) implements Ask {}

    record Approve(String protectedUntil) implements Ask {}

    record Advance(Stage to) implements Ask {}

    record Close(long amount, long grossMargin) implements Ask {}

    /** What the ledger holds: one for each command. */
    @JsonTypeInfo(use = JsonTypeInfo.Id.NAME, include = JsonTypeInfo.As.WRAPPER_OBJECT)
    @JsonSubTypes({
        @JsonSubTypes.Type(value = DealRegistered.class, name = "DealRegistered"),
        @JsonSubTypes.Type(value = DealApproved.class, name = "DealApproved"),
        @JsonSubTypes.Type(value = StageAdvanced.class, name = "StageAdvanced"),
        @JsonSubTypes.Type(value = DealWon.class, name = "DealWon"),
        @JsonSubTypes.Type(value = Refused.class, name = "Refused"),
    })
    sealed interface Decision {
        String accountId();

        String dealId();

        Context context();
    }

    record DealRegistered(String accountId, String dealId, Registration registration, Context context) implements Decision {}

    record DealApproved(String accountId, String dealId, String protectedUntil, Context context) implements Decision {}

    record StageAdvanced(String accountId, String dealId, Stage from, Stage to, Context context) implements Decision {}

    record DealWon(String accountId, String dealId, long amount, long grossMargin, Context context) implements Decision {}

    record Refused(String accountId, String dealId, Refusal refusal, Context context) implements Decision {}

    enum Refusal {
        ACCOUNT_PROTECTED,
        DEAL_EXISTS,
        UNKNOWN_DEAL,
        OUT_OF_ORDER
    }
}
