package pledger.peer;

import java.util.LinkedHashMap;
import java.util.Map;
import pledger.peer.Deals.Advance;
import pledger.peer.Deals.Approve;
import pledger.peer.Deals.Close;
import pledger.peer.Deals.Command;
import pledger.peer.Deals.DealApproved;
import pledger.peer.Deals.DealRegistered;
import pledger.peer.Deals.DealWon;
import pledger.peer.Deals.Decision;
import pledger.peer.Deals.Refusal;
import pledger.peer.Deals.Refused;
import pledger.peer.Deals.Register;
import pledger.peer.Deals.Registration;
import pledger.peer.Deals.Stage;
import pledger.peer.Deals.StageAdvanced;

/** The state that decisions are made on, with the rules of the Rust peers' account and no more. */
record Account(Map<String, Deal> deals) {
    record Deal(String partnerId, String product, Stage stage) {}

    static Account empty() {
        return new Account(new LinkedHashMap<>());
    }

    /** What comes of a command, without taking it in. */
    Decision decide(Command command) {
        var ask = command.ask();
        if (ask instanceof Register register) {
            return register(command, register.registration());
        }
        var deal = deals.get(command.dealId());
        if (deal == null) {
            return refused(command, Refusal.UNKNOWN_DEAL);
        }
        return step(command, deal.stage());
    }

    private Decision register(Command command, Registration asked) {
        for (var deal : deals.values()) {
            var isRival = deal.product().equals(asked.product()) && !deal.partnerId().equals(asked.partnerId());
            if (isRival && deal.stage().protects()) {
                return refused(command, Refusal.ACCOUNT_PROTECTED);
            }
        }
        if (deals.containsKey(command.dealId())) {
            return refused(command, Refusal.DEAL_EXISTS);
        }
        return new DealRegistered(command.accountId(), command.dealId(), asked, command.context());
    }

    private static Decision step(Command command, Stage from) {
        var account = command.accountId();
        var deal = command.dealId();
        var context = command.context();
        if (command.ask() instanceof Approve approve && Stage.APPROVED.isAfter(from)) {
            return new DealApproved(account, deal, approve.protectedUntil(), context);
        }
        if (command.ask() instanceof Advance advance && advance.to().isAfter(from)) {
            return new StageAdvanced(account, deal, from, advance.to(), context);
        }
        if (command.ask() instanceof Close close && Stage.WON.isAfter(from)) {
            return new DealWon(account, deal, close.amount(), close.grossMargin(), context);
        }
        return refused(command, Refusal.OUT_OF_ORDER);
    }

    private static Refused refused(Command command, Refusal refusal) {
        return new Refused(command.accountId(), command.dealId(), refusal, command.context());
    }

    /** Takes in what was decided; whether that changed anything. */
    boolean evolve(Decision decision) {
        var id = decision.dealId();
        if (decision instanceof DealRegistered registered) {
            var registration = registered.registration();
            deals.put(id, new Deal(registration.partnerId(), registration.product(), Stage.REGISTERED));
        } else if (decision instanceof DealApproved) {
            put(id, Stage.APPROVED);
        } else if (decision instanceof StageAdvanced advanced) {
            put(id, advanced.to());
        } else if (decision instanceof DealWon) {
            put(id, Stage.WON);
        } else {
            return false;
        }
        return true;
    }

    private void put(String id, Stage stage) {
        deals.computeIfPresent(id, (key, deal) -> new Deal(deal.partnerId(), deal.product(), stage));
    }
}
